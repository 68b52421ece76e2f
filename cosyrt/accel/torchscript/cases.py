"""Calls that an archive must answer as the plain model does, and how far its answers may be away."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

# Largest difference from the plain float32 model, in units of its largest output. float32: sums in another
# order (1e-6 is seen). float16 has 11 bits, and ten blocks of rounding: 1e-3 to 5e-3 is seen.
TOLERANCE = {"fp32": 1e-4, "fp16": 3e-2}

# Edges of chunks, their neighbours, and lengths of no kind: an archive must not know any of them.
LENGTHS = (1, 2, 7, 24, 25, 26, 50, 63, 101, 137)


class Case(NamedTuple):
    """One call and what the plain model gives."""

    method: str
    args: tuple[Any, ...]
    expected: list[Tensor]
