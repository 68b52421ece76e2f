"""Log-probabilities → the next speech token: nucleus sampling that steps aside when it repeats itself.

Shapes: B batch · V vocabulary · W window of recent tokens.
Source: repetition-aware sampling (VALL-E 2, arXiv:2406.05370) as in upstream's `utils/common.py`, batched and
without a round trip to the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cosyrt.ranges import LEVEL, SIZE, Real, Whole

NOTHING = -1  # no token has this number: fills a window that is not full yet, stands for a failed draw


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How far sampling may stray, and how soon a repetition sends it elsewhere."""

    top_p: float = 0.8
    top_k: int = 25
    window: int = 10
    tolerance: float = 0.1

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> SamplingConfig:
        """From the arguments of upstream's `ras_sampling` in a model description."""
        return cls(
            top_p=Real(1e-6, 1).of(args, "top_p"),
            top_k=SIZE.of(args, "top_k"),
            window=Whole(1, 10_000).of(args, "win_size"),
            tolerance=LEVEL.of(args, "tau_r"),
        )


def nucleus(
    logp: Tensor,  # [B, V]
    config: SamplingConfig,
) -> tuple[Tensor, Tensor]:  # probabilities [B, K] (zero outside the nucleus) and their tokens [B, K]
    """The most likely tokens up to `top_p` of the mass, at most `top_k` of them."""
    p, token = logp.softmax(-1).topk(min(config.top_k, logp.shape[-1]), dim=-1)
    before = p.cumsum(-1) - p
    return p * (before < config.top_p), token


def draw(
    logp: Tensor,  # [B, V] log-probabilities, -inf where a token is forbidden
    recent: Tensor,  # [B, W] tokens spoken last, NOTHING where there are none yet
    config: SamplingConfig,
    generator: torch.Generator,
) -> Tensor:  # [B]
    """One token a sequence; NOTHING where the log-probabilities are not numbers.

    A token that the window holds too often is forbidden and replaced by a draw from all the others, so that
    the model gets out of a loop; when nothing else is possible it stays.
    """
    p, candidates = nucleus(logp, config)
    failed = p[:, :1].isnan()  # softmax spreads one NaN, or +inf, over its whole row
    p = torch.where(failed, 1.0, p)  # as below: a device that finds NaN here is lost to the whole process
    token = candidates.gather(1, torch.multinomial(p, 1, generator=generator))  # [B, 1]
    repeats = (recent == token).sum(1, keepdim=True) >= config.window * config.tolerance
    others = logp.softmax(-1).scatter(1, token, 0.0)
    possible = others.sum(1, keepdim=True) > 0
    others = torch.where(possible, others, 1.0)  # never drawn from: keeps multinomial content
    other = torch.multinomial(others, 1, generator=generator)
    drawn = torch.where(repeats & possible, other, token)
    return torch.where(failed, NOTHING, drawn).squeeze(1)


def remember(
    recent: Tensor,  # [B, W]
    token: Tensor,  # [B]
) -> Tensor:  # [B, W]
    """The window after one more token."""
    return torch.cat([recent[:, 1:], token[:, None]], dim=1)
