"""How far the answers of two ways to run a model are apart. Each measure has limits where it is used."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def largest_difference(got: list[Tensor], expected: list[Tensor]) -> float:
    """Largest difference of any pair of tensors, in units of the largest value expected of that pair.

    Infinite where numbers of tensors, shapes or masks differ, or where a value is not finite.
    """
    if len(got) != len(expected):
        return math.inf
    return max(_largest_of_pair(a, b) for a, b in zip(got, expected, strict=True))


def _largest_of_pair(got: Tensor, expected: Tensor) -> float:
    if not expected.is_floating_point():
        return 0.0 if torch.equal(got, expected) else math.inf

    def apart(one: Tensor, other: Tensor) -> float:
        if not one.numel():
            return 0.0
        return float((other.float() - one).abs().max() / one.abs().max().clamp_min(1e-6))

    return finite_distance(expected, got, apart)


def finite_distance(plain: Tensor, fast: Tensor, distance: Callable[[Tensor, Tensor], float]) -> float:
    """Distance of two tensors; infinite where shapes differ or a value is not finite."""
    if plain.shape != fast.shape or not fast.isfinite().all():
        return math.inf
    return distance(plain, fast)


def relative(plain: Tensor, fast: Tensor) -> float:
    """Norm of the difference in units of the norm."""
    return float((fast - plain).norm() / plain.norm().clamp_min(1e-9))


def divergence(
    plain: Tensor,  # [S, V] log-probabilities
    fast: Tensor,  # [S, V]
) -> float:
    """Kullback-Leibler divergence, mean over the tokens, in nats: what sampling from the other one loses."""
    return max(0.0, float((plain.double().exp() * (plain.double() - fast.double())).sum(-1).mean()))
