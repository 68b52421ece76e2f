"""Log-probabilities → the next speech token: nucleus sampling that leaves a token that it repeats.

Upstream draws once from the nucleus and, where that token has just been said too often, once more from all
the others. Both draws together are one distribution, written out here, so one uniform number decides a token
and a row of a batch depends on its own number alone.

Shapes: B batch · V vocabulary · K most likely tokens · W window of recent tokens.
Source: repetition-aware sampling (VALL-E 2, arXiv:2406.05370) as in upstream's `utils/common.py`, batched and
without a round trip to the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor

from cosyrt.ranges import LEVEL, SIZE, FloatRange, IntRange

NOTHING = -1  # no token has this number: fills a window that is not full yet, stands for a failed draw
NEARLY_CERTAIN = 0.99  # the rest is known to five digits up to here


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """Size of the nucleus, and how many repetitions in the window of recent tokens are too many."""

    top_p: float = 0.8
    top_k: int = 25
    window: int = 10
    tolerance: float = 0.1

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> SamplingConfig:
        """Read the arguments of upstream's `ras_sampling` in a model description."""
        return cls(
            top_p=FloatRange(1e-6, 1).of(args, "top_p"),
            top_k=SIZE.of(args, "top_k"),
            window=IntRange(1, 10_000).of(args, "win_size"),
            tolerance=LEVEL.of(args, "tau_r"),
        )


def nucleus(
    p: Tensor,  # [B, K] probabilities of the most likely tokens, in falling order
    config: SamplingConfig,
) -> Tensor:  # [B, K] zero outside the nucleus
    """Probabilities of a draw from the nucleus: the most likely tokens up to `top_p` of the mass."""
    before = p.cumsum(-1) - p
    inside = p * (before < config.top_p)
    return inside / inside.sum(-1, keepdim=True)


def distribution(
    logp: Tensor,  # [B, V] log-probabilities, -inf where a token is forbidden
    recent: Tensor,  # [B, W] tokens spoken last, NOTHING where there are none yet
    config: SamplingConfig,
) -> Tensor:  # float64 [B, V] probabilities; a row is not finite where its log-probabilities are no numbers
    """Probabilities of the next token under repetition-aware sampling.

    A token of the nucleus that the window holds too often hands its probability on to all other tokens, in
    proportion to the whole distribution. When no other token is possible it keeps it.
    """
    full = logp.softmax(-1)
    p, candidate = full.topk(min(config.top_k, full.shape[-1]), dim=-1)
    q = nucleus(p, config).double()
    tolerated = ceil(config.window * config.tolerance)  # whole: float32 would round a tiny one to nothing
    repeats = (recent[:, None] == candidate[:, :, None]).sum(-1) >= tolerated
    leaving = q * repeats
    # On other devices the question would wait for the answer; where nothing is handed on, this is the result.
    if leaving.device.type == "cpu" and not leaving.any():
        return torch.zeros_like(full, dtype=q.dtype).scatter_(1, candidate, q)
    return hand_on(full, p, candidate, q, leaving)


def hand_on(
    full: Tensor,  # [B, V] probabilities without a nucleus
    p: Tensor,  # [B, K] those of the most likely tokens, in falling order
    candidate: Tensor,  # [B, K] the most likely tokens
    q: Tensor,  # float64 [B, K] their probabilities in the nucleus
    leaving: Tensor,  # float64 [B, K] those of them that the window holds too often; else zero
) -> Tensor:  # float64 [B, V]
    """Give the probability of each repeated token of the nucleus to all other tokens."""
    p, others = p.double(), others_of(full, p, candidate).double()
    leaving = leaving * (others >= torch.finfo(full.dtype).tiny)
    handed_on = leaving / others.clamp_min(torch.finfo(full.dtype).tiny)
    total = handed_on.sum(-1, keepdim=True)
    own = q - leaving + p * (total - handed_on)
    return full.double().mul_(total).scatter_(1, candidate, own)


def others_of(
    full: Tensor,  # [B, V]
    p: Tensor,  # [B, K]
    candidate: Tensor,  # [B, K]
) -> Tensor:  # [B, K]
    """Probability of all tokens but each of the most likely ones."""
    others = 1 - p
    # The difference loses its digits where one token is nearly certain: there the others are added up.
    if p.device.type != "cpu" or (p[:, 0] > NEARLY_CERTAIN).any():
        others[:, :1] = full.scatter(1, candidate[:, :1], 0.0).sum(1, keepdim=True)
    return others


def uniforms(
    rngs: Sequence[torch.Generator],  # on the host, one a row
    device: torch.device,
) -> Tensor:  # float32 [B], from 0 to 1, 1 excluded
    """One uniform number a row, from the generator of its own utterance."""
    numbers = [torch.rand(1, generator=rng) for rng in rngs]
    row = numbers[0] if len(numbers) == 1 else torch.cat(numbers)
    # Blocking, the copy would wait for all that the device was asked before.
    return row.to(device, non_blocking=True)


def pick(
    distribution: Tensor,  # float64 [B, V]
    uniforms: Tensor,  # [B] float32, from 0 to 1, 1 excluded
) -> Tensor:  # [B]
    """Pick the token in which each uniform number falls; NOTHING where the distribution is not finite."""
    cumulative = distribution.cumsum(-1)
    total = cumulative[:, -1:]
    token = torch.searchsorted(cumulative, uniforms[:, None] * total, right=True)
    return torch.where(total > 0, token, NOTHING).squeeze(1)  # not so of NaN, either
