"""Caches of causal networks: of one stream, and of several streams that are packed into one call.

Shapes: B batch · T positions of a call · C channels · H heads · E head width · D width · n streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

GROWTH = 8  # a slot that is full grows by one part in this many more than it needs


class StreamCache:
    """Intermediate results of earlier positions, so that a causal network continues where it stopped.

    The cache belongs to the caller; a network that is given none starts from nothing.
    """

    # A slot per call site, numbered by the order of the calls within one forward pass: a network makes the
    # same calls in the same order every time. There are two kinds:
    # - left context of a causal convolution: the last positions of its input [B, C, reach]
    # - keys or values of an attention: all positions so far [B, H, past, E], stored with room for more
    # The slots of each network, in order (of a U-Net's stage: 2 convolutions, keys, values of each block):
    # - CausalUNet: stage down, convolution; stages in the middle; stage up, convolution; convolution
    # - DiT: 2 convolutions of the position embedding, then keys, values of each block
    # - UpsampleConformer: look-ahead, keys, values of each block, up-sampling, keys, values of each block
    # - LookAhead, CausalPitchPredictor: left contexts only
    # - CausalVocoder: left contexts, the overlap of both transforms among them

    def __init__(self) -> None:
        self._slots: list[Tensor] = []
        self._used: list[int] = []  # positions of each slot that are filled
        self._next_slot = 0
        self.empty = True  # whether nothing came before what is being computed now
        self.keeps = True  # what is given to it; not in a last pass, after which nothing comes

    def begin(self) -> StreamCache:
        """Start a forward pass: the next call site is the first one."""
        self._next_slot = 0
        self.empty = not self._slots
        return self

    def left_context(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
    ) -> Tensor:  # [B, C, reach + T]
        """Put the last `reach` positions before x (zeros at the start) in front of x."""
        slot = self._take_slot()
        past = self._slots[slot] if slot < len(self._slots) else x.new_zeros(*x.shape[:2], reach)
        joined = torch.cat([past, x], dim=2)
        if self.keeps:
            self._keep(slot, joined[:, :, joined.shape[2] - reach :].clone(), reach)
        return joined

    def append(
        self,
        x: Tensor,  # [B, H, T, E] keys or values
    ) -> Tensor:  # [B, H, past + T, E]
        """Append keys or values, and return all that this call site was ever given."""
        slot = self._take_slot()
        used = self._used[slot] if slot < len(self._slots) else 0
        if not self.keeps:
            return torch.cat([self._slots[slot][:, :, :used], x], dim=2) if used else x
        total = used + x.shape[2]
        if slot == len(self._slots) or total > self._slots[slot].shape[2]:
            spare = total // GROWTH if used else 0  # what is given once needs no more; what grows, grows on
            larger = x.new_empty(*x.shape[:2], total + spare, x.shape[3])
            if used:
                larger[:, :, :used] = self._slots[slot][:, :, :used]
            self._keep(slot, larger, used)
        self._slots[slot][:, :, used:total] = x
        self._used[slot] = total
        return self._slots[slot][:, :, :total]

    def convolve(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
        convolution: Callable[[Tensor], Tensor],  # [B, C, reach + T] → [B, C', T]
    ) -> Tensor:  # [B, C', T]
        """Convolve x together with the positions left of it."""
        return convolution(self.left_context(x, reach))

    def attend(
        self,
        q: Tensor,  # [B, H, T, E]
        k: Tensor,  # [B, H, T, E]
        v: Tensor,  # [B, H, T, E]
        mask: Tensor,  # [B, 1, T, past + T]
    ) -> Tensor:  # [B, H, T, E]
        """Attend to all positions so far."""
        return F.scaled_dot_product_attention(q, self.append(k), self.append(v), attn_mask=mask)

    @property
    def streams(self) -> tuple[StreamCache, ...]:
        """Caches of single streams that this one is made of."""
        return (self,)

    def copy(self) -> StreamCache:
        """Copy for a stream of its own; it shares storage until it is appended to."""
        other = StreamCache()
        other.restore(self.slots())  # full to the brim, so the first append allocates
        return other

    def slots(self) -> list[Tensor]:
        """Filled part of each slot: [B, C, reach] or [B, H, past, E]."""
        return [slot[:, :, :used] for slot, used in zip(self._slots, self._used, strict=True)]

    def restore(self, slots: list[Tensor]) -> None:
        """Replace the content by these slots."""
        self._slots, self._used = slots, [slot.shape[2] for slot in slots]

    def checkpoint(self) -> Callable[[], None]:
        """Remember the content; the function that is returned brings it back, for a pass from the start."""
        slots, used = list(self._slots), list(self._used)  # behind what is used, nobody minds what is written

        def bring_back() -> None:
            self._slots, self._used = slots, used
            self.begin()

        return bring_back

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return sum(slot.nbytes for slot in self._slots)

    def _take_slot(self) -> int:
        self._next_slot += 1
        return self._next_slot - 1

    def _keep(self, slot: int, tensor: Tensor, used: int) -> None:
        if slot == len(self._slots):
            self._slots.append(tensor)
            self._used.append(used)
        self._slots[slot] = tensor


class JointCache(StreamCache):
    """Caches of several streams that take part in one call."""

    def __init__(self, caches: Sequence[StreamCache]) -> None:
        super().__init__()
        self.caches = tuple(caches)

    @property
    def streams(self) -> tuple[StreamCache, ...]:
        """Caches of single streams that this one is made of."""
        return self.caches

    def begin(self) -> Self:
        """Start a forward pass of every stream."""
        for cache in self.caches:
            cache.begin()
        return self

    def slots(self) -> list[Tensor]:
        """Filled part of each slot, stream by stream."""
        return [slot for cache in self.caches for slot in cache.slots()]

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return sum(cache.bytes for cache in self.caches)


class PackedCache(JointCache):
    """Caches of several streams whose positions lie one after another in one call.

    Convolutions and attention run stream by stream, everything else over all positions at once. Streams may
    have other lengths and other pasts; each is computed as it is alone.
    """

    def __init__(self, caches: Sequence[StreamCache], lengths: Sequence[int], pasts: Sequence[int]) -> None:
        super().__init__(caches)
        self.lengths = list(lengths)  # positions of each stream in this call
        self.pasts = list(pasts)  # positions of each stream before this call

    def convolve(
        self,
        x: Tensor,  # [B, C, T] the streams one after another
        reach: int,
        convolution: Callable[[Tensor], Tensor],
    ) -> Tensor:  # [B, C', T]
        """Convolve each stream together with the positions left of it."""
        parts = zip(self.caches, torch.split(x, self.lengths, dim=2), strict=True)
        return torch.cat([cache.convolve(part, reach, convolution) for cache, part in parts], dim=2)

    def attend(
        self,
        q: Tensor,  # [B, H, T, E] the streams one after another
        k: Tensor,  # [B, H, T, E]
        v: Tensor,  # [B, H, T, E]
        mask: Tensor,  # [B, 1, T, most] whose columns count the positions of the stream of each row
    ) -> Tensor:  # [B, H, T, E]
        """Attend in each stream to its own positions."""
        parts = zip(
            self.caches,
            self.pasts,
            *(torch.split(x, self.lengths, dim=2) for x in (q, k, v, mask)),
            strict=True,
        )
        return torch.cat(
            [cache.attend(q, k, v, mask[..., : past + q.shape[2]]) for cache, past, q, k, v, mask in parts],
            dim=2,
        )

    def positions(self) -> Tensor:  # [1, T]
        """Position of each frame in its own stream."""
        ranges = [torch.arange(past, past + n) for past, n in zip(self.pasts, self.lengths, strict=True)]
        return torch.cat(ranges)[None]

    def spread(
        self,
        values: Tensor,  # [B, n, D] of each stream
    ) -> Tensor:  # [B, T, D] of each position
        """Repeat the values of a stream for its positions."""
        parts = zip(torch.split(values, 1, dim=1), self.lengths, strict=True)
        return torch.cat([value.expand(-1, length, -1) for value, length in parts], dim=1)

    def left_context(self, x: Tensor, reach: int) -> Tensor:
        """Refuse: the streams have no common left context."""
        raise AssertionError("packed streams are convolved one by one, by `convolve`")

    def append(self, x: Tensor) -> Tensor:
        """Refuse: the streams have no common past."""
        raise AssertionError("packed streams attend one by one, by `attend`")


class StackedCache(JointCache):
    """Caches of several streams that are rows of one call, all of them of the same length."""

    def __init__(self, caches: Sequence[StreamCache]) -> None:
        super().__init__(caches)
        self.empty = self.caches[0].empty
        assert all(cache.empty == self.empty for cache in self.caches)

    def begin(self) -> Self:
        """Start a forward pass of every stream."""
        super().begin()
        self.empty = self.caches[0].empty
        return self

    def left_context(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
    ) -> Tensor:  # [B, C, reach + T]
        """Put the positions before each stream in front of it."""
        rows = zip(self.caches, torch.split(x, 1), strict=True)
        return torch.cat([cache.left_context(row, reach) for cache, row in rows])

    def append(self, x: Tensor) -> Tensor:
        """Refuse: streams may have pasts of other lengths."""
        raise AssertionError("stacked streams have left contexts, and attend to no past")


def attend(
    q: Tensor,  # [B, H, T, E]
    k: Tensor,  # [B, H, T, E]
    v: Tensor,  # [B, H, T, E]
    mask: Tensor,  # [B, 1, T, K]
    cache: StreamCache | None,
) -> Tensor:  # [B, H, T, E]
    """Attend to these positions and, with a cache, to all before them."""
    if cache is None:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return cache.attend(q, k, v, mask)


def of_each_frame(
    values: Tensor,  # [B, D], or [B, n, D] of each packed stream
    cache: StreamCache | None,
) -> Tensor:  # [B, 1, D] or [B, T, D]
    """Values that belong to all frames of a stream, so that they broadcast over its frames."""
    if values.ndim == 2:
        return values[:, None]
    assert isinstance(cache, PackedCache)
    return cache.spread(values)
