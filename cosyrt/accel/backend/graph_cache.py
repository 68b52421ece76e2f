"""Key/value caches for CUDA graphs: each at a place of its own, where the graphs of a step find it.

A graph reads and writes where it was recorded. So a step has a graph for each place and a few numbers of
rows, and attends to all positions of the place, those that are not there yet being masked. Rows that fill up
a batch write to a last position that no utterance has. A place is lent with a cache, and free for the next
one when the last view of that cache is gone.

Shapes: B rows · K positions that a step is shown · V speech vocabulary with stops.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock

import torch
from torch import Tensor

from cosyrt.engine.language_stages import NewCache, Step
from cosyrt.models.kv_cache import KeyValueCache, WrappedCache

LEAST_POSITIONS = 256  # places have this capacity, or twice, four times … of it
ROWS_APART = 8  # numbers of rows that have a graph: 1, 2, 4, and the multiples of this

Run = Callable[[], Tensor]
Record = Callable[[Run], Run]  # what is run → the same as a graph, at the same places


class Place:
    """A cache that stays where it is, with the arguments of a step over it and the graphs of that step."""

    def __init__(self, cache: KeyValueCache, step: Step, record: Record) -> None:
        self.cache, self.plain, self.record = cache, step, record
        device = cache.layers()[0][0].device
        self.token = torch.zeros(cache.rows, dtype=torch.long, device=device)
        self.position = torch.zeros_like(self.token)
        self.mask = self.token.new_zeros(cache.rows, 1, 1, cache.positions, dtype=torch.bool)
        self.graphs: dict[int, Run] = {}  # by rows

    def run(self, rows: int) -> Tensor:  # [B, V]
        """Run the network on what is at the place."""
        return self.plain(self.token[:rows], self.position[:rows], self.mask[:rows], self.cache.first(rows))

    def step(
        self,
        token: Tensor,  # [B]
        position: Tensor,  # [B]
        mask: Tensor,  # [B, 1, 1, K]
    ) -> Tensor:  # [B, V]
        """One more token for the first rows."""
        rows = len(token)
        size = min(rounded_rows(rows), self.cache.rows)
        self.token[:rows] = token
        self.position[:rows] = position
        self.mask[:size] = False
        self.mask[:rows, ..., : mask.shape[3]] = mask
        if size > rows:
            self.position[rows:size] = self.cache.positions - 1
            self.mask[rows:size, ..., -1] = True
        if size not in self.graphs:
            self.graphs[size] = self.record(partial(self.run, size))
        return self.graphs[size]()[:rows].clone()


class Lease:
    """A place in use; all views of a cache hold the same lease, and when it is gone the place is free."""

    def __init__(self, place: Place, free: list[Place]) -> None:
        self.place = place
        weakref.finalize(self, free.append, place)  # no lock: it may be called from anywhere


@dataclass(slots=True, eq=False)
class GraphCache(WrappedCache[KeyValueCache]):
    """A cache at a place, or a view of some of its rows."""

    places: Places
    lease: Lease

    @property
    def positions(self) -> int:
        """Positions there is room for in each row; the last one of the place is not lent."""
        return self.plain.positions - 1

    def grown(self, positions: int) -> GraphCache:
        """A copy at a larger place."""
        wide = self.places.new_cache(self.rows, positions)
        wide.copy_from(self, self.positions)
        return wide


class Places:
    """The places there are, by size."""

    def __init__(self, new_cache: NewCache, step: Step, record: Record) -> None:
        self.make, self.plain, self.record = new_cache, step, record
        self.free: dict[tuple[int, int], list[Place]] = {}
        self.lock = Lock()

    @torch.inference_mode()
    def new_cache(self, rows: int, positions: int) -> GraphCache:
        """An empty cache of at least that many positions."""
        size = (rows, rounded_positions(positions + 1))
        with self.lock:
            idle = self.free.setdefault(size, [])
            place = idle.pop() if idle else Place(self.make(*size), self.plain, self.record)
        place.cache.clear()
        return GraphCache(place.cache, self, Lease(place, idle))

    @torch.inference_mode()
    def step(self, token: Tensor, position: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:  # [B, V]
        """One more token: by a graph for the first rows of a place, else by the plain stage."""
        assert isinstance(cache, GraphCache)
        if cache.start:
            return self.plain(token, position, mask, cache.plain)
        return cache.lease.place.step(token, position, mask)


def rounded_rows(rows: int) -> int:
    """The least number of rows of a graph that has room for so many."""
    return 1 << (rows - 1).bit_length() if rows < ROWS_APART else -(-rows // ROWS_APART) * ROWS_APART


def rounded_positions(positions: int) -> int:
    """The least capacity of a place that has room for that many positions."""
    capacity = LEAST_POSITIONS
    while capacity < positions:
        capacity *= 2
    return capacity
