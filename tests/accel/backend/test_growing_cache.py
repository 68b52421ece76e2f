"""The room beside a cache: the same past, contiguous, copied when it grows and not at every step."""

from __future__ import annotations

import gc
import weakref

import torch
from torch import Tensor

from cosyrt.accel.backend.growing_cache import BLOCK, RoomyCache, apart
from cosyrt.models.llm import Cache

LAYERS, HEADS, WIDTH = 2, 3, 4


def cache_of(batch: int, capacity: int) -> RoomyCache:
    keys = torch.zeros(LAYERS, batch, HEADS, capacity, WIDTH)
    return RoomyCache.of(Cache(keys, keys.clone()))


def new(batch: int, positions: int) -> tuple[Tensor, Tensor]:
    keys, values = torch.randn(2, LAYERS, batch, HEADS, positions, WIDTH)
    return keys, values


def said(cache: RoomyCache, position: int) -> None:
    """A token at that position of every row."""
    rows = cache.keys.shape[1]
    cache.room.layers(position)
    cache.room.keep(torch.full((rows, 1), position), position + 1, new(rows, 1))


def same(cache: RoomyCache, past: int) -> bool:
    """Whether the room holds what the cache holds."""
    whole = [layer[:, :, :past] for side in cache for layer in side]
    layers = cache.room.layers(past)
    return all(torch.equal(a[:, :, :past], b) for a, b in zip(layers, whole, strict=True))


def test_steps_find_their_past_where_it_was() -> None:
    """Between two growths each layer is the same contiguous memory; what is in it is what is in the cache."""
    cache, places = cache_of(1, 3 * BLOCK), set()
    for position in range(2 * BLOCK):
        said(cache, position)
        layers = cache.room.layers(position)
        places.add((layers[0].shape[2], layers[0].data_ptr()))

        assert all(layer.is_contiguous() for layer in layers)
        assert position % 16 or same(cache, position + 1)
    assert len(places) == 3  # with none, one and two blocks


def test_what_others_wrote_to_the_cache_is_brought_along() -> None:
    """A past that was copied into a fresh cache, or written beside the room."""
    cache = cache_of(1, 64)
    cache.keys[:, :, :, :9].normal_()
    assert same(cache, 9)
    said(cache, 9)
    cache.values[:, :, :, 10:14].normal_()
    assert same(cache, 14)


def test_a_cache_may_begin_anew() -> None:
    """A shorter past than before, after a longer one that made it grow."""
    cache = cache_of(1, 3 * BLOCK)
    for end in (BLOCK + 5, 7):
        cache.room.layers(0)
        cache.room.keep(torch.arange(end)[None], end, new(1, end))
        assert same(cache, end)


def test_a_cache_is_freed_with_its_last_user() -> None:
    """At once, not when circles are looked for: it is large."""
    cache = cache_of(1, 8)
    said(cache, 0)
    places = [weakref.ref(side) for side in (*cache, *cache.room.sides)]
    gc.disable()
    try:
        del cache
        assert not any(place() is not None for place in places)
    finally:
        gc.enable()


def test_rows_are_written_at_their_own_positions() -> None:
    """One row may be further than another."""
    cache, (keys, values) = cache_of(2, 8), new(2, 1)
    cache.room.layers(5)
    cache.room.keep(torch.tensor([[5], [3]]), 6, (keys, values))

    for side, fresh in zip(cache, (keys, values), strict=True):
        assert torch.equal(side[:, 0, :, 5], fresh[:, 0, :, 0])
        assert torch.equal(side[:, 1, :, 3], fresh[:, 1, :, 0])
        assert not side[:, 1, :, 5].any()
    assert same(cache, 6)


def test_a_view_is_taken_apart() -> None:
    """What a call brings is new at its own positions and nowhere past."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()[:, None, None]
    past, now = apart(mask, torch.tensor([[3], [1]]), 6)

    assert past[:, 0, 0].int().tolist() == [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert now.flatten().tolist() == [True, True]
