"""Repetition-aware sampling in vLLM: logits → the logarithm of our distribution, from which vLLM picks.

The closed form of `engine/sampling.py` is what decides here, too. vLLM then draws from it with the seed of
each request, its temperature at 1 and its own nucleus switched off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from cosyrt.accel.vllm.chances import log_chances
from cosyrt.accel.vllm.names import LEAST, OURS
from cosyrt.engine.sampling import SamplingConfig


@dataclass(slots=True)
class _Spoken:
    """What a request has spoken so far, in a list that vLLM goes on to fill, and its least."""

    tokens: list[int]
    least: int


class RepetitionAware(LogitsProcessor):  # type: ignore[misc]  # vLLM is not there where types are checked
    """Turns the logits of each request of a batch into the logarithm of its distribution."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        settings = getattr(vllm_config.model_config.hf_config, OURS)
        self.end_token, self.config = settings["end_token"], SamplingConfig(**settings["sampling"])
        self.requests: dict[int, _Spoken] = {}  # by row of the batch

    def is_argmax_invariant(self) -> bool:
        """Whether the most likely token stays so: not where it repeats itself."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow the requests that join, leave or change their row."""
        process_dict_updates(
            self.requests,
            batch_update,
            lambda params, _, tokens: _Spoken(tokens, (params.extra_args or {}).get(LEAST, 0)),
        )

    def apply(
        self,
        logits: Tensor,  # [B, V + 1]
    ) -> Tensor:  # [B, V + 1]
        """Replace the logits of each request; a batch that only warms vLLM up has none."""
        if not self.requests:
            return logits
        rows = sorted(self.requests)
        spoken = [self.requests[row] for row in rows]
        logits[rows] = log_chances(
            logits[rows],
            [each.tokens for each in spoken],
            [each.least for each in spoken],
            self.end_token,
            self.config,
        )
        return logits
