"""The past of a language model as a graph takes it: contiguous, so that no step copies what came before.

A cache has a place for every position it may ever hold; its first positions are not contiguous, and to hand
them out means to copy all of them. Here they are kept a second time with room for a few more, which grows.

Shapes: B batch · T positions of a call · K = past + T positions to look at · R positions there is room for ·
C cache capacity · L layers · G key/value heads · E head width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from cosyrt.models.llm import Cache

BLOCK = 64  # positions by which it grows; between two growths a graph sees one shape


class Seen(NamedTuple):
    """Who may look where, apart for what is in the room and for what a call brings."""

    past: Tensor  # [B, 1, T, R]
    new: Tensor  # [B, 1, T, T]


class Room:
    """The first positions of a cache once more."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.sides = [side[:, :, :, :0] for side in cache]  # keys and values, each [L, B, G, R, E]
        self.filled = 0  # positions that are as in the cache

    def layers(self, past: int) -> list[Tensor]:  # 2 · L times [B, G, R, E]
        """Keys of every layer, then values, at least so many positions of them; zeros where nothing is."""
        room = -(-past // BLOCK) * BLOCK
        if room != self.sides[0].shape[3]:
            self.sides = [side.new_zeros(*side.shape[:3], room, side.shape[4]) for side in self.sides]
            self.filled = 0
        if self.filled < past:
            between = slice(self.filled, past)
            for side, whole in zip(self.sides, self.cache, strict=True):
                side[:, :, :, between] = whole[:, :, :, between]
        return [layer for side in self.sides for layer in side.unbind()]

    def keep(
        self,
        positions: Tensor,  # [B, T]
        end: int,  # K
        new: tuple[Tensor, Tensor],  # each [L, B, G, T, E]
    ) -> None:
        """Write keys and values to the cache, each row at its positions, and here if there is room."""
        where = positions[None, :, None, :, None].expand_as(new[0])
        fits = end <= self.sides[0].shape[3]
        for side, whole, fresh in zip(self.sides, self.cache, new, strict=True):
            for written in (whole, side) if fits else (whole,):
                written.scatter_(3, where, fresh)
        self.filled = end if fits else 0


class RoomyCache(Cache):
    """A cache that has such a room beside it."""

    room: Room

    @classmethod
    def of(cls, cache: Cache) -> RoomyCache:
        """It, and an empty room."""
        roomy = cls(*cache)
        roomy.room = Room(cache)  # not of itself: what is in a circle is freed late
        return roomy


def apart(
    mask: Tensor,  # [B, 1, T, K]
    positions: Tensor,  # [B, T]
    room: int,
) -> Seen:
    """The view of a cache as a view of its past, of which a call's own positions are none, and of the new."""
    b, _, t, k = mask.shape
    own = positions[:, None, None].expand(b, 1, t, t)
    past = mask.new_zeros(b, 1, t, room)
    shown = min(room, k)
    past[..., :shown] = mask.scatter(3, own, False)[..., :shown]
    return Seen(past, mask.gather(3, own))
