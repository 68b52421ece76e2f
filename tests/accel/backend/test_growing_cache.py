"""The contiguous copy beside a cache: it is made when it grows and not at every step."""

from __future__ import annotations

import gc
import weakref

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.accel.backend.growing_cache import BLOCK, GrowingCache, split_mask
from cosyrt.models.kv_cache import PlainCache

LAYERS, HEADS, WIDTH = 2, 3, 4


def cache_of(rows: int, positions: int) -> GrowingCache:
    keys = torch.zeros(LAYERS, rows, HEADS, positions, WIDTH)
    return GrowingCache.of(PlainCache(keys, keys.clone()))


def new(rows: int, positions: int) -> tuple[Tensor, Tensor]:
    keys, values = torch.randn(2, LAYERS, rows, HEADS, positions, WIDTH)
    return keys, values


def write(cache: GrowingCache, position: int) -> None:
    """Write a token at that position of every row, as a step does."""
    cache.past(position)
    cache.write(torch.full((cache.rows, 1), position), position + 1, new(cache.rows, 1))


def same(cache: GrowingCache, past: int) -> bool:
    """Whether the copy holds what the cache holds."""
    copied = cache.past(past)
    whole = [side[:, :, :past] for tensor in cache.plain.tensors() for side in tensor]
    return all(torch.equal(a[:, :, :past], b) for a, b in zip(copied, whole, strict=True))


def test_steps_find_their_past_where_it_was() -> None:
    """Between two growths each layer is the same contiguous memory; it holds what is in the cache."""
    cache, places = cache_of(1, 3 * BLOCK), set()
    for position in range(2 * BLOCK):
        write(cache, position)
        layers = cache.past(position)
        places.add((layers[0].shape[2], layers[0].data_ptr()))

        assert all(layer.is_contiguous() for layer in layers)
        assert position % 16 or same(cache, position + 1)
    assert len(places) == 3  # with none, one and two blocks


def test_what_plain_stages_wrote_is_brought_along() -> None:
    """Whoever asks for the layers may write to them, behind the copy and within it."""
    cache = cache_of(1, 64)
    for end in (9, 14):
        for keys, values in cache.layers():
            keys[:, :, :end].normal_()
            values[:, :, :end].normal_()
        assert same(cache, end)
        write(cache, end)


def test_a_cache_may_begin_anew() -> None:
    """A shorter past than before, after a longer one that made it grow."""
    cache = cache_of(1, 3 * BLOCK)
    for end in (BLOCK + 5, 7):
        cache.past(0)
        cache.write(torch.arange(end)[None], end, new(1, end))
        assert same(cache, end)


def test_a_cache_is_freed_with_its_last_view() -> None:
    """At once, not when circles are looked for: it is large."""
    cache = cache_of(2, 8)
    write(cache, 0)
    view = cache.first(1)
    places = [weakref.ref(side) for side in cache.copy.sides]
    gc.disable()
    try:
        del cache
        assert all(place() is not None for place in places)
        del view
        assert not any(place() is not None for place in places)
    finally:
        gc.enable()


def test_rows_are_written_at_their_own_positions() -> None:
    """One row may be further than another."""
    cache, (keys, values) = cache_of(2, 8), new(2, 1)
    cache.past(5)
    cache.write(torch.tensor([[5], [3]]), 6, (keys, values))

    for side, fresh in zip(cache.plain.tensors(), (keys, values), strict=True):
        assert torch.equal(side[:, 0, :, 5], fresh[:, 0, :, 0])
        assert torch.equal(side[:, 1, :, 3], fresh[:, 1, :, 0])
        assert not side[:, 1, :, 5].any()
    assert same(cache, 6)


def test_views_share_the_copy() -> None:
    """Rows that join later, or go on alone, find what was written through another view; nothing shrinks."""
    cache = cache_of(3, 3 * BLOCK)
    for position in range(BLOCK + 5):
        write(cache.first(2), position)
    for position in range(4):
        write(cache.row(2), position)
    write(cache, BLOCK + 5)

    assert all(same(view, BLOCK + 6) for view in (cache, cache.first(1), cache.row(1)))
    assert same(cache.row(2), 4)
    assert all(layer.is_contiguous() for layer in cache.first(2).past(1))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, BLOCK)), min_size=1, max_size=12))
def test_rows_may_go_on_without_each_other(calls: list[tuple[int, int]]) -> None:
    """Rows stand at positions of their own; some are written where the copy of others has no room left."""
    cache, ends = cache_of(4, 16 * BLOCK), [0] * 4
    for first, count in calls:
        view = cache.first(first) if first else cache.row(3)
        rows = range(first) if first else [3]
        cache_past = max(ends[row] for row in rows)
        view.past(cache_past)
        positions = torch.tensor([[ends[row] + n for n in range(count)] for row in rows])
        view.write(positions, cache_past + count, new(len(rows), count))
        for row in rows:
            ends[row] += count
        assert all(same(cache.row(row), end) for row, end in enumerate(ends))
    assert all(same(cache.row(row), end) for row, end in enumerate(ends))


def test_a_mask_is_split() -> None:
    """What a call brings is new at its own positions and nowhere past."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()[:, None, None]
    past, now = split_mask(mask, torch.tensor([[3], [1]]), 6)

    assert past[:, 0, 0].int().tolist() == [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert now.flatten().tolist() == [True, True]
