"""A step for backends that take fewer rows in one call than the engine has: one call after another."""

from __future__ import annotations

import torch
from torch import Tensor

from cosyrt.engine.language_stages import Step
from cosyrt.models.kv_cache import KeyValueCache


def at_most(rows: int, step: Step) -> Step:
    """Make a step of any number of rows from one that takes at most so many.

    Each call is shown no more positions than its own rows need, so that it is what it would be without the
    others.
    """

    def split(
        token: Tensor,  # [B]
        position: Tensor,  # [B]
        mask: Tensor,  # [B, 1, 1, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, V]
        if len(token) <= rows:
            return step(token, position, mask, cache)
        logp = []
        for start, places in zip(range(0, len(token), rows), torch.split(position, rows), strict=True):
            some, shown = slice(start, start + rows), int(places.max()) + 1
            part = cache.part(start, len(places))
            logp.append(step(token[some], places, mask[some, ..., :shown], part))
        return torch.cat(logp)

    return split
