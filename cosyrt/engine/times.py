"""What a velocity makes of the time alone, computed once: every solve asks for the same ten times.

In CosyVoice 3 that is two fifths of the velocity's weights, which one call reads for two rows of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

KEPT = 64  # the times of a few solvers, for a few batch sizes

Timed = Callable[[Tensor], Tensor]


def tabulated(timed: Timed) -> Timed:
    """The same, looked up by the value of the time where it was asked for before.

    The time is read on the host: it should be there, so that no device is waited for.
    """

    @lru_cache(maxsize=KEPT)
    def known(times: tuple[float, ...]) -> Tensor:
        return timed(torch.tensor(times))

    def looked_up(
        t: Tensor,  # [B]
    ) -> Tensor:  # [B, P]
        return known(tuple(t.tolist()))

    return looked_up
