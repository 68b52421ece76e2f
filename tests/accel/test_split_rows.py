"""A step in several calls, each of no more rows than a backend takes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.accel.split_rows import at_most
from cosyrt.engine.pipeline import Pipeline
from cosyrt.models.kv_cache import KeyValueCache

LENGTHS = (9, 3, 6, 3, 5)


@pytest.mark.parametrize(("rows", "calls"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (9, [5])])
def test_no_call_has_more_rows(tiny: Pipeline, rows: int, calls: list[int]) -> None:
    """All rows get what one call gives them, and nothing is written for others."""
    stages, found = tiny.model.plain, []
    asked: list[tuple[int, int]] = []

    def step(token: Tensor, position: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        assert cache.rows == len(token) == len(position) == len(mask)
        asked.append((len(token), mask.shape[3] - int(position.max())))
        return stages.step(token, position, mask, cache)

    for take in (stages.step, at_most(rows, step)):
        cache = stages.new_cache(5, 20)
        for row, length in enumerate(LENGTHS):
            text = torch.arange(length)[None]
            stages.prefill(text, text[:, :0], cache.row(row))
        for count in range(3):
            position = torch.tensor(LENGTHS) + 2 + count
            mask = torch.arange(int(position.max()) + 1) <= position[:, None]
            found.append(take(torch.arange(5) + count, position, mask[:, None, None], cache))

    assert asked == [(size, 1) for size in calls] * 3
    for whole, split in zip(found[:3], found[3:], strict=True):
        torch.testing.assert_close(split, whole, atol=1e-5, rtol=0)
