"""Logits → the logarithm of our distribution, with one place more for a choice that failed.

Shapes: B requests of a batch · V speech vocabulary with stops.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cosyrt.engine.sampling import NOTHING, SamplingConfig, distribution


def log_chances(
    logits: Tensor,  # [B, V + 1], the last of no meaning
    spoken: Sequence[Sequence[int]],  # tokens of each request so far
    least: Sequence[int],  # speech tokens of each before a stop may be picked
    end_token: int,
    config: SamplingConfig,
) -> Tensor:  # [B, V + 1]
    """Logarithm of the probability of each token; one row that is not finite is certain of its last place."""
    speech = logits[:, :-1].float()
    for row, (tokens, fewest) in enumerate(zip(spoken, least, strict=True)):
        if len(tokens) < fewest:
            speech[row, end_token:] = float("-inf")
    recent = torch.tensor([window(tokens, config.window) for tokens in spoken], device=logits.device)
    chances = distribution(speech, recent, config)
    failed = ~chances.sum(-1, keepdim=True).isfinite()
    found = chances.log().masked_fill(failed, float("-inf")).to(logits.dtype)
    return torch.cat(
        [found, torch.zeros_like(failed, dtype=logits.dtype).masked_fill(~failed, -torch.inf)], 1
    )


def window(tokens: Sequence[int], size: int) -> list[int]:
    """The tokens spoken last, NOTHING in front where there are fewer."""
    last = list(tokens[-size:])
    return [NOTHING] * (size - len(last)) + last
