"""A call and what it must give; how far an answer may be away."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Largest distance from the plain float32 model, in units of its largest output. float32: sums in another
# order (1e-6 is seen). float16 has 11 bits, and ten blocks of rounding: 1e-3 to 5e-3 is seen.
TOLERANCE = {"fp32": 1e-4, "fp16": 3e-2}

# Edges of chunks, their neighbours, and lengths of no kind: an archive must not know any of them.
LENGTHS = (1, 2, 7, 24, 25, 26, 50, 63, 101, 137)


class Case(NamedTuple):
    """One call and what the plain model gives."""

    method: str
    args: tuple[Any, ...]
    expected: list[Tensor]


def distance(got: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference of any pair of tensors, in units of the largest value expected of that pair."""
    if len(got) != len(expected):
        return math.inf
    return max(_apart(a, b) for a, b in zip(got, expected, strict=True))


def _apart(got: Tensor, expected: Tensor) -> float:
    if got.shape != expected.shape or not got.isfinite().all():
        return math.inf
    if not expected.is_floating_point():
        return 0.0 if torch.equal(got, expected) else math.inf
    if not expected.numel():
        return 0.0
    return float((got.float() - expected).abs().max() / expected.abs().max().clamp_min(1e-6))


def as_dtype(value: Any, dtype: torch.dtype) -> Any:
    """The same argument, its floating-point tensors of that type."""
    if isinstance(value, list):
        return [as_dtype(item, dtype) for item in value]
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def flat(value: Any) -> list[Tensor]:
    """The tensors of nested tuples and lists, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in flat(item)]
