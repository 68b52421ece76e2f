"""A key/value cache as a graph takes it: contiguous, so that no step copies what came before.

A cache has a place for every position it may ever hold; its first positions are not contiguous, and to hand
them out means to copy all of them. Here they are kept a second time with room for a few more, which grows.

Shapes: B rows · T positions of a call · K = past + T positions to look at · R positions of the copy ·
L layers · G key/value heads · E head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from torch import Tensor

from cosyrt.models.kv_cache import PlainCache, WrappedCache

BLOCK = 64  # positions by which the copy grows; between two growths a graph sees one shape


class SplitMask(NamedTuple):
    """A mask in two parts, one for the past and one for the positions of the call."""

    past: Tensor  # [B, 1, T, R]
    new: Tensor  # [B, 1, T, T]


class ContiguousCopy:
    """The first positions of a plain cache once more; all views of the cache share it."""

    def __init__(self, plain: PlainCache) -> None:
        self.plain = plain  # all rows
        self.sides = [side[:, :, :, :0] for side in (plain.keys, plain.values)]  # [L, B, G, R, E] each
        self.filled = [0] * plain.rows  # positions of each row that are as in the cache

    @property
    def positions(self) -> int:
        """Positions there is room for."""
        return self.sides[0].shape[3]

    def bring(self, past: int, rows: slice) -> None:
        """Hold at least that many positions of these rows as they are in the cache."""
        if past > self.positions:
            room = -(-past // BLOCK) * BLOCK
            self.sides = [side.new_zeros(*side.shape[:3], room, side.shape[4]) for side in self.sides]
            self.filled = [0] * len(self.filled)
        for row in range(rows.start, rows.stop):
            between = slice(self.filled[row], past)
            if between.start < past:
                for side, whole in zip(self.sides, (self.plain.keys, self.plain.values), strict=True):
                    side[:, row, :, between] = whole[:, row, :, between]
                self.filled[row] = past

    def mark(self, end: int, rows: slice) -> None:
        """Note that these rows are as in the cache up to that position."""
        for row in range(rows.start, rows.stop):
            self.filled[row] = max(self.filled[row], end)

    def forget(self, starts: Sequence[int], rows: slice) -> None:
        """Note that these rows may differ from the cache, each from a position on."""
        for row, start in zip(range(rows.start, rows.stop), starts, strict=True):
            self.filled[row] = min(self.filled[row], start)


@dataclass(slots=True, eq=False)
class GrowingCache(WrappedCache[PlainCache]):
    """A plain cache, or a view of some of its rows, and the contiguous copy of its first positions."""

    copy: ContiguousCopy  # of all rows

    @classmethod
    def of(cls, plain: PlainCache) -> Self:
        """Wrap a plain cache with an empty contiguous copy."""
        return cls(plain, ContiguousCopy(plain))

    @property
    def bytes(self) -> int:
        """Size in bytes, the copy included."""
        return self.plain.bytes + sum(side[:, self._slice].nbytes for side in self.copy.sides)

    def layers(self) -> Sequence[tuple[Tensor, ...]]:
        """Keys and values of the plain cache; whoever has them may write, so the copy is made anew."""
        self.copy.filled[self._slice] = [0] * self.rows
        return self.plain.layers()

    def grown(self, positions: int) -> Self:
        """A copy that has room for more positions."""
        return self.of(self.plain.grown(positions))

    def past(self, positions: int) -> list[Tensor]:  # 2 · L times [B, G, R, E]
        """Keys of every layer, then values, contiguous, of at least that many positions."""
        self.copy.bring(positions, self._slice)
        return [layer[self._slice] for side in self.copy.sides for layer in side.unbind()]

    def write(
        self,
        positions: Tensor,  # [B, T]
        end: int,  # K
        new: tuple[Tensor, Tensor],  # each [L, B, G, T, E]
    ) -> None:
        """Write keys and values to the cache, each row at its positions, and to the copy if they fit."""
        where = positions[None, :, None, :, None].expand_as(new[0])
        fits = end <= self.copy.positions
        for side, whole, fresh in zip(
            self.copy.sides, (self.plain.keys, self.plain.values), new, strict=True
        ):
            whole.scatter_(3, where, fresh)
            if fits:
                side[:, self._slice].scatter_(3, where, fresh)
        if fits:
            self.copy.mark(end, self._slice)
        else:
            self.copy.forget(positions.amin(1).tolist(), self._slice)

    @property
    def _slice(self) -> slice:
        return slice(self.start, self.start + self.rows)


def split_mask(
    mask: Tensor,  # [B, 1, T, K]
    positions: Tensor,  # [B, T]
    room: int,
) -> SplitMask:
    """Split a mask into one for the past, without the call's own positions, and one for the call."""
    b, _, t, k = mask.shape
    own = positions[:, None, None].expand(b, 1, t, t)
    past = mask.new_zeros(b, 1, t, room)
    shown = min(room, k)
    past[..., :shown] = mask.scatter(3, own, False)[..., :shown]
    return SplitMask(past, mask.gather(3, own))
