"""What several models share: causal convolution and the masks that say who may look at whom.

Shapes: B batch · T positions · C channels.
Source: upstream's `utils/mask.py` and `flow/decoder.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv(nn.Conv1d):
    """A convolution that sees the past only: all of its padding is on the left."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)

    def forward(
        self,
        x: Tensor,  # [B, C, T]
    ) -> Tensor:  # [B, C', T]
        return super().forward(F.pad(x, (self.kernel_size[0] - 1, 0)))


def real_positions(
    lengths: Tensor,  # [B]
    longest: int,
) -> Tensor:  # [B, T] True where a position is not padding
    """Which positions of a padded batch are real."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def visible(
    real: Tensor,  # [B, T] True where a position is not padding
    chunk: int | None,
) -> Tensor:  # [B, T, T] True where a position may look
    """Everything that is real or, with a chunk size, only what lies in a position's own chunk or before it."""
    sees = real[:, None, :].expand(-1, real.shape[1], -1)
    if chunk is None:
        return sees
    index = torch.arange(real.shape[1], device=real.device) // chunk
    return sees & (index[None, :] <= index[:, None])
