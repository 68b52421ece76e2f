"""What several models share: causal convolution, attention masks, sinusoids of the time.

Shapes: B batch · T positions · C channels.
Source: upstream's `utils/mask.py` and `flow/decoder.py`.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.stream_cache import StreamCache

TIME_SCALE = 1000.0


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
        if cache is None:
            return super().forward(F.pad(x, (reach, 0)))
        return cache.convolve(x, reach, super().forward)


def with_lookahead(
    x: Tensor,  # [B, C, T]
    lookahead: Tensor | None,  # [B, C, reach or more] what follows; None: nothing does
    reach: int,
) -> Tensor:  # [B, C, T + reach]
    """Append the positions that a look-ahead convolution reaches: zeros where nothing follows."""
    return F.pad(x, (0, reach)) if lookahead is None else torch.cat([x, lookahead[:, :, :reach]], dim=2)


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
    """Attention mask: all valid positions or, with a chunk size, those of the own chunk and before."""
    mask = valid[:, None, :].expand(-1, valid.shape[1] - start, -1)
    if chunk is None:
        return mask
    index = torch.arange(valid.shape[1], device=valid.device) // chunk
    return mask & (index[None, :] <= index[start:, None])
