"""How far an answer is away from what was expected."""

from __future__ import annotations

import math

import pytest
import torch

from cosyrt.accel.torchscript.cases import as_dtype, distance, flat

ONE = torch.tensor([1.0, -2.0])


def test_the_distance_is_in_units_of_the_largest_value() -> None:
    """Half of a unit where the largest is two: a quarter."""
    assert distance([ONE + 0.5], [ONE]) == pytest.approx(0.25)
    assert distance([ONE.half()], [ONE]) == 0


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
    assert distance(got, expected) == math.inf


def test_an_empty_tensor_is_no_distance() -> None:
    """The memory before the first token holds nothing to compare."""
    assert distance([torch.zeros(1, 2, 0)], [torch.zeros(1, 2, 0)]) == 0


def test_arguments_are_cast_where_they_are_numbers_with_a_point() -> None:
    """Lengths, masks and flags stay what they are, lists are gone through."""
    cast = as_dtype([ONE, torch.tensor([3]), True], torch.float16)

    assert [getattr(value, "dtype", None) for value in cast] == [torch.float16, torch.int64, None]


def test_nested_answers_are_flattened_in_order() -> None:
    """(output, [memory, memory]) is three tensors."""
    assert [int(tensor) for tensor in flat((torch.tensor(1), [torch.tensor(2), (torch.tensor(3),)]))] == [
        1,
        2,
        3,
    ]
