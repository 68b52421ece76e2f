"""How far an answer is away from what was expected."""

from __future__ import annotations

import math

import pytest
import torch

from cosyrt.accel.distance import largest_difference

ONE = torch.tensor([1.0, -2.0])


def test_the_distance_is_in_units_of_the_largest_value() -> None:
    """Half of a unit where the largest is two: a quarter."""
    assert largest_difference([ONE + 0.5], [ONE]) == pytest.approx(0.25)
    assert largest_difference([ONE.half()], [ONE]) == 0


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([], [ONE]),
        ([ONE[:1]], [ONE]),
        ([ONE * math.nan], [ONE]),
        ([ONE * math.inf], [ONE]),
        ([torch.tensor([True, False])], [torch.tensor([True, True])]),
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(
    got: list[torch.Tensor], expected: list[torch.Tensor]
) -> None:
    """Another count, another shape, no number, another mask."""
    assert largest_difference(got, expected) == math.inf


def test_an_empty_tensor_is_no_distance() -> None:
    """The memory before the first token holds nothing to compare."""
    assert largest_difference([torch.zeros(1, 2, 0)], [torch.zeros(1, 2, 0)]) == 0
