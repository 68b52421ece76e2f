"""What several models share: causal convolution, its cache between chunks, and attention masks.

Shapes: B batch · T positions · C channels.
Source: upstream's `utils/mask.py` and `flow/decoder.py`.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME_SCALE = 1000.0
GROWTH = 2  # a slot that is full grows by one part in this many more than it needs


class StreamCache:
    """What earlier positions left behind for later ones, so that a causal network continues where it stopped.

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
        self._keep(slot, joined[:, :, joined.shape[2] - reach :].clone(), reach)
        return joined

    def append(
        self,
        x: Tensor,  # [B, H, T, E] keys or values
    ) -> Tensor:  # [B, H, past + T, E]
        """Append keys or values, and return all that this call site was ever given."""
        slot = self._take_slot()
        used = self._used[slot] if slot < len(self._slots) else 0
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


def at_mel_rate(
    mask: Tensor,  # [B, S, K]
    up: int,
) -> Tensor:  # [B, up · S, up · K]
    """Repeat a mask over tokens for the mel frames that each token becomes."""
    return mask.repeat_interleave(up, dim=1).repeat_interleave(up, dim=2)


class CausalConv(nn.Conv1d):
    """Convolution over the past only; what is left of its input comes from the cache, or is zero."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation, groups=groups)

    def forward(
        self,
        x: Tensor,  # [B, C, T]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C', T]
        reach = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (reach, 0)) if cache is None else cache.left_context(x, reach))


def with_ahead(
    x: Tensor,  # [B, C, T]
    ahead: Tensor | None,  # [B, C, reach or more] what follows; None: nothing does
    reach: int,
) -> Tensor:  # [B, C, T + reach]
    """Append the positions that a look-ahead convolution reaches: zeros where nothing follows."""
    return F.pad(x, (0, reach)) if ahead is None else torch.cat([x, ahead[:, :, :reach]], dim=2)


def time_waves(
    t: Tensor,  # [B] 0 is noise, 1 is mel
    width: int,
) -> Tensor:  # [B, D] sines, then cosines
    """Sinusoids of the time, in float32: half precision ruins them."""
    half = width // 2
    rates = torch.exp(torch.arange(half, device=t.device) * (-log(10_000.0) / (half - 1)))
    angles = TIME_SCALE * t.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def valid_positions(
    lengths: Tensor,  # [B]
    longest: int,
) -> Tensor:  # [B, T] True where a position is not padding
    """Mask of the positions of a padded batch that are not padding."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def attention_mask(
    valid: Tensor,  # [B, T] True where a position is not padding
    chunk: int | None,
    start: int = 0,
) -> Tensor:  # [B, T - start, T] True where a position from `start` on may look
    """Mask of attention: all valid positions or, with a chunk size, those of the own chunk and before."""
    mask = valid[:, None, :].expand(-1, valid.shape[1] - start, -1)
    if chunk is None:
        return mask
    index = torch.arange(valid.shape[1], device=valid.device) // chunk
    return mask & (index[None, :] <= index[start:, None])
