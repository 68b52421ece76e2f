"""noisy mel → velocity: the U-Net of CosyVoice 1, which looks both ways and does halve its time axis.

Shapes: B batch · M mel frames · C channels.
Source: Matcha-TTS (arXiv:2309.03199), upstream's `flow/decoder.py` (ConditionalDecoder).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.unet import (
    BlockLists,
    ResidualBlock,
    TimeEmbedding,
    TransformerBlock,
    UNetConfig,
    block_by_block,
    timed_blocks,
)
from cosyrt.models.velocity import FlowInputs
from cosyrt.ranges import BLOCKS, LAYERS, SIZE

NORM_GROUPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FullUNetConfig:
    """Sizes of the U-Net; each level after the first has half the frames."""

    inputs: int = 320
    mel_bins: int = 80
    channels: tuple[int, ...] = (256, 256)
    head_width: int = 64
    heads: int = 8
    blocks: int = 4
    middle: int = 12

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> FullUNetConfig:
        """Read the arguments of upstream's `ConditionalDecoder` in a model description."""
        return cls(
            inputs=SIZE.of(args, "in_channels"),
            mel_bins=SIZE.of(args, "out_channels"),
            channels=SIZE.each(args, "channels"),
            head_width=SIZE.of(args, "attention_head_dim"),
            heads=SIZE.of(args, "num_heads"),
            blocks=BLOCKS.of(args, "n_blocks"),
            middle=LAYERS.of(args, "num_mid_blocks"),
        )


class FullConvBlock(nn.Module):
    """Convolution, norm over groups of channels and all frames, Mish; padding stays zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        conv = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.block = nn.Sequential(conv, nn.GroupNorm(NORM_GROUPS, outputs), nn.Mish())

    def forward(
        self,
        x: Tensor,  # [B, C, M]
        valid: Tensor,  # [B, 1, M]
        cache: StreamCache | None = None,  # none: it looks both ways
    ) -> Tensor:  # [B, C', M]
        out: Tensor = self.block(x * valid) * valid
        return out


class Halve(nn.Module):
    """Convolution that halves the number of frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, stride=2, padding=1)

    def forward(
        self,
        x: Tensor,  # [B, C, M]
    ) -> Tensor:  # [B, C, ceil(M / 2)]
        out: Tensor = self.conv(x)
        return out


class Double(nn.Module):
    """Transposed convolution that doubles the number of frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(channels, channels, 4, stride=2, padding=1)

    def forward(
        self,
        x: Tensor,  # [B, C, M]
    ) -> Tensor:  # [B, C, 2M]
        out: Tensor = self.conv(x)
        return out


class FullUNet(nn.Module):
    """Velocity of CosyVoice 1: down level by level, through the middle, up again past the skips."""

    def __init__(self, config: FullUNetConfig) -> None:
        super().__init__()
        self.config = c = config
        levels = list(c.channels)
        upward = [*reversed(levels), levels[0]]
        self.time_mlp = TimeEmbedding(c.inputs, 4 * levels[0])
        self.down_blocks = nn.ModuleList(
            self.stage(wide, level, Halve(level) if i < len(levels) - 1 else same(level))
            for i, (wide, level) in enumerate(pairwise([c.inputs, *levels]))
        )
        self.mid_blocks = nn.ModuleList(self.stage(levels[-1], levels[-1], None) for _ in range(c.middle))
        self.up_blocks = nn.ModuleList(
            self.stage(2 * level, narrow, Double(narrow) if i < len(levels) - 1 else same(narrow))
            for i, (level, narrow) in enumerate(pairwise(upward))
        )
        self.final_block = FullConvBlock(levels[0], levels[0])
        self.final_proj = nn.Conv1d(levels[0], c.mel_bins, 1)

    def stage(self, inputs: int, outputs: int, closing: nn.Module | None) -> nn.ModuleList:
        """Make a residual block, its transformer blocks and what changes the number of frames."""
        c = self.config
        residual = ResidualBlock(inputs, outputs, 4 * c.channels[0], FullConvBlock)
        sizes = UNetConfig(channels=outputs, heads=c.heads, head_width=c.head_width)
        blocks = nn.ModuleList(TransformerBlock(sizes) for _ in range(c.blocks))
        return nn.ModuleList([residual, blocks] if closing is None else [residual, blocks, closing])

    def timed(
        self,
        t: Tensor,  # [B] 0 is noise, 1 is mel
    ) -> Tensor:  # [B, P]
        """Compute all that depends on the time alone; `forward` takes it in place of the time."""
        return timed_blocks(self, self.time_mlp(t))

    def forward(
        self,
        inputs: FlowInputs,
        cache: StreamCache | None = None,  # none: every frame may look at every other
    ) -> Tensor:  # [B, 80, M]
        assert cache is None, "this U-Net looks both ways and cannot resume from a past"
        x, valid, mask, mu, t, _, prompt = inputs
        times = block_by_block(self, self.timed(t) if t.ndim == 1 else t)
        x = torch.cat([x, mu, inputs.speaker_frames(), prompt], dim=1)
        levels: list[tuple[Tensor, Tensor]] = [(valid, mask[:, None])]
        skips: list[Tensor] = []
        for down in cast(BlockLists, self.down_blocks):
            skips.append(self.run(down, x, *levels[-1], next(times)))
            x = down[2](skips[-1] * levels[-1][0])
            levels.append((levels[-1][0][:, :, ::2], levels[-1][1][:, :, ::2, ::2]))
        del levels[-1]
        for middle in cast(BlockLists, self.mid_blocks):
            x = self.run(middle, x, *levels[-1], next(times))
        for up in cast(BlockLists, self.up_blocks):
            (valid, head_mask), skip = levels.pop(), skips.pop()
            x = torch.cat([x[:, :, : skip.shape[2]], skip], dim=1)
            x = self.run(up, x, valid, head_mask, next(times))
            x = up[2](x * valid)
        out: Tensor = self.final_proj(self.final_block(x, valid) * valid) * valid
        return out

    def run(
        self,
        stage: nn.ModuleList,
        x: Tensor,  # [B, C, M]
        valid: Tensor,  # [B, 1, M]
        mask: Tensor,  # [B, 1, M, M]
        time: Tensor,  # [B, C']
    ) -> Tensor:  # [B, C', M]
        """Run one stage without its closing convolution."""
        x = stage[0](x, valid, time).transpose(1, 2)
        for block in cast(nn.ModuleList, stage[1]):
            x = block(x, mask)
        return x.transpose(1, 2)


def same(channels: int) -> nn.Conv1d:
    """Make a convolution that leaves the number of frames as it is."""
    return nn.Conv1d(channels, channels, 3, padding=1)
