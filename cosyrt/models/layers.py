"""What several models share: causal convolution and the masks that say who may look at whom.

Shapes: B batch · T positions · C channels.
Source: upstream's `utils/mask.py` and `flow/decoder.py`.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME_SCALE = 1000.0
GROWTH = 2  # a memory that is full takes room for this part of it more


class Memory:
    """What earlier positions left behind for later ones: a slot for each place that asks, in that order.

    A causal network whose places ask in the same order every time goes on exactly where it stopped. The
    memory belongs to the caller; a network without one starts from nothing.
    """

    def __init__(self) -> None:
        self._slots: list[Tensor] = []
        self._used: list[int] = []  # positions of each slot that are filled
        self._turn = 0
        self.empty = True  # whether nothing came before what is being computed now

    def begin(self) -> Memory:
        """The same memory, before the first place asks."""
        self._turn = 0
        self.empty = not self._slots
        return self

    def behind(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
    ) -> Tensor:  # [B, C, reach + T]
        """The last `reach` positions before x (zeros at the start), then x."""
        call = self._next()
        past = self._slots[call] if call < len(self._slots) else x.new_zeros(*x.shape[:2], reach)
        joined = torch.cat([past, x], dim=2)
        self._keep(call, joined[:, :, joined.shape[2] - reach :].clone(), reach)
        return joined

    def since_start(
        self,
        x: Tensor,  # [B, H, T, E]
    ) -> Tensor:  # [B, H, past + T, E]
        """Everything this place was ever given, x last."""
        call = self._next()
        used = self._used[call] if call < len(self._slots) else 0
        total = used + x.shape[2]
        if call == len(self._slots) or total > self._slots[call].shape[2]:
            ahead = total // GROWTH if used else 0  # what is given once needs no more; what grows, grows on
            room = x.new_empty(*x.shape[:2], total + ahead, x.shape[3])
            if used:
                room[:, :, :used] = self._slots[call][:, :, :used]
            self._keep(call, room, used)
        self._slots[call][:, :, used:total] = x
        self._used[call] = total
        return self._slots[call][:, :, :total]

    def copy(self) -> Memory:
        """A memory that may go on by itself; until it does, it takes no room of its own."""
        other = Memory()
        other.fill(self.slots())  # full to the brim: the first thing it is given makes it move out
        return other

    def slots(self) -> list[Tensor]:
        """What was left behind at each place, in the order they ask: [B, C, reach] or [B, H, past, E]."""
        return [slot[:, :, :used] for slot, used in zip(self._slots, self._used, strict=True)]

    def fill(self, slots: list[Tensor]) -> None:
        """Leave this behind instead."""
        self._slots, self._used = slots, [slot.shape[2] for slot in slots]

    @property
    def bytes(self) -> int:
        """What it takes."""
        return sum(slot.nbytes for slot in self._slots)

    def _next(self) -> int:
        self._turn += 1
        return self._turn - 1

    def _keep(self, call: int, slot: Tensor, used: int) -> None:
        if call == len(self._slots):
            self._slots.append(slot)
            self._used.append(used)
        self._slots[call] = slot


def at_mel_rate(
    mask: Tensor,  # [B, S, K]
    up: int,
) -> Tensor:  # [B, up · S, up · K]
    """The same view, frame by frame: the frames of a token look where their token looks."""
    return mask.repeat_interleave(up, dim=1).repeat_interleave(up, dim=2)


class CausalConv(nn.Conv1d):
    """A convolution that sees the past only: what is left of its input is remembered, or zero."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation, groups=groups)

    def forward(
        self,
        x: Tensor,  # [B, C, T]
        memory: Memory | None = None,
    ) -> Tensor:  # [B, C', T]
        reach = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (reach, 0)) if memory is None else memory.behind(x, reach))


def with_ahead(
    x: Tensor,  # [B, C, T]
    ahead: Tensor | None,  # [B, C, reach or more] what follows; None: nothing does
    reach: int,
) -> Tensor:  # [B, C, T + reach]
    """A sequence and what a convolution that looks ahead sees behind its end: zeros where nothing is."""
    return F.pad(x, (0, reach)) if ahead is None else torch.cat([x, ahead[:, :, :reach]], dim=2)


def time_waves(
    t: Tensor,  # [B] 0 is noise, 1 is mel
    width: int,
) -> Tensor:  # [B, D] sines, then cosines
    """The time as sinusoids, in float32: half precision ruins them."""
    half = width // 2
    rates = torch.exp(torch.arange(half, device=t.device) * (-log(10_000.0) / (half - 1)))
    angles = TIME_SCALE * t.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def valid_positions(
    lengths: Tensor,  # [B]
    longest: int,
) -> Tensor:  # [B, T] True where a position is not padding
    """Which positions of a padded batch are real."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def attention_mask(
    valid: Tensor,  # [B, T] True where a position is not padding
    chunk: int | None,
    start: int = 0,
) -> Tensor:  # [B, T - start, T] True where a position from `start` on may look
    """Everything that is real or, with a chunk size, only what lies in one's own chunk or before it."""
    mask = valid[:, None, :].expand(-1, valid.shape[1] - start, -1)
    if chunk is None:
        return mask
    index = torch.arange(valid.shape[1], device=valid.device) // chunk
    return mask & (index[None, :] <= index[start:, None])
