"""Key/value caches of a language model: what each position leaves behind for the positions after it.

A cache has rows, one a sequence, and positions. The caller owns it and the model fills it in place: a call
writes at the positions it is given and nowhere else. `part`, `first` and `row` are views, so a batch of some
rows is a call on a view of them.

Shapes: B rows · C positions · G key/value heads · E head width · L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class KeyValueCache(Protocol):
    """Keys and values of every layer, in whatever form a backend wants them."""

    @property
    def rows(self) -> int:
        """Sequences there is room for."""

    @property
    def positions(self) -> int:
        """Positions there is room for in each row."""

    @property
    def bytes(self) -> int:
        """Size in bytes."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that are kept."""

    def part(self, start: int, rows: int) -> Self:
        """A view of some rows that lie together; it shares memory with this cache."""

    def first(self, rows: int) -> Self:
        """A view of the first rows."""
        return self.part(0, rows)

    def row(self, index: int) -> Self:
        """A view of one row."""
        return self.part(index, 1)

    def layers(self) -> Sequence[tuple[Tensor, ...]]:  # [B, G, C, E] each
        """Keys, values and what else the model keeps, layer by layer; to be read and written in place."""

    def grown(self, positions: int) -> Self:
        """A copy that has room for more positions."""

    @torch.inference_mode()
    def copy_from(self, other: KeyValueCache, positions: int) -> None:
        """Take over the first positions of another cache with as many rows, whatever its form and type."""
        assert self.rows == other.rows
        for ours, theirs in zip(self.layers(), other.layers(), strict=True):
            for target, source in zip(ours, theirs, strict=True):
                target[:, :, :positions] = source[:, :, :positions]

    @torch.inference_mode()
    def clear(self) -> None:
        """Set all rows to zero: what is masked must be a number, too."""
        for keys, values, *_ in self.layers():
            keys.zero_()
            values.zero_()


@dataclass(slots=True, eq=False)
class PlainCache(KeyValueCache):
    """Keys and values as the networks of this package read and write them."""

    keys: Tensor  # [L, B, G, C, E]
    values: Tensor  # [L, B, G, C, E]

    @property
    def rows(self) -> int:
        """Sequences there is room for."""
        return self.keys.shape[1]

    @property
    def positions(self) -> int:
        """Positions there is room for in each row."""
        return self.keys.shape[3]

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors())

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that are kept."""
        return self.keys.dtype

    def part(self, start: int, rows: int) -> Self:
        """A view of some rows that lie together; it shares memory with this cache."""
        keys, values = (side[:, start : start + rows] for side in (self.keys, self.values))
        return replace(self, keys=keys, values=values)

    def layers(self) -> Sequence[tuple[Tensor, ...]]:
        """Keys and values, layer by layer."""
        return list(zip(*(tensor.unbind() for tensor in self.tensors()), strict=True))

    @torch.inference_mode()
    def grown(self, positions: int) -> Self:
        """A copy that has room for more positions."""
        made = [side.new_zeros(*side.shape[:3], positions, side.shape[4]) for side in self.tensors()]
        for wide, narrow in zip(made, self.tensors(), strict=True):
            wide[:, :, :, : self.positions] = narrow
        return type(self)(*made)

    def to(self, dtype: torch.dtype) -> Self:
        """A copy of another type."""
        return type(self)(*(tensor.to(dtype) for tensor in self.tensors()))

    def tensors(self) -> list[Tensor]:
        """Every tensor, in the order of the fields."""
        return [getattr(self, each.name) for each in fields(self)]


@dataclass(slots=True, eq=False)
class RelativeCache(PlainCache):
    """Keys, values and the projected distances of CosyVoice 1, which all rows share.

    The distances depend on the weights alone, so a row may write what another has written already.
    """

    distances: Tensor  # [L, 1, G, C, E] the distance n at position n


Inner = TypeVar("Inner", bound=KeyValueCache)


@dataclass(slots=True, eq=False)
class WrappedCache(KeyValueCache, Generic[Inner]):
    """A cache, or a view of some of its rows, inside the cache of a backend.

    A backend adds what its graphs need, says how a cache grows, and hands out views by `part`.
    """

    plain: Inner  # the rows of this view
    start: int = field(default=0, kw_only=True)  # first row of this view

    @property
    def rows(self) -> int:
        """Sequences there is room for."""
        return self.plain.rows

    @property
    def positions(self) -> int:
        """Positions there is room for in each row."""
        return self.plain.positions

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.plain.bytes

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that are kept."""
        return self.plain.dtype

    def part(self, start: int, rows: int) -> Self:
        """A view of some rows that lie together; it shares memory with this cache."""
        return replace(self, plain=self.plain.part(start, rows), start=self.start + start)

    def layers(self) -> Sequence[tuple[Tensor, ...]]:
        """Keys and values of the plain cache, layer by layer."""
        return self.plain.layers()
