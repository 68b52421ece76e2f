"""noisy mel → velocity: the causal U-Net of CosyVoice 2.

Shapes: B batch · M mel frames · K = past + M frames to look at · C channels · D inner width of the
attention · H heads.
Source: Matcha-TTS (arXiv:2309.03199), upstream's `flow/decoder.py` (CausalConditionalDecoder). The name
stayed; with one level of channels nothing is ever halved, so the "U" is a stack with one skip connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.layers import CausalConv, time_waves
from cosyrt.models.stream_cache import StreamCache, attend, of_each_frame
from cosyrt.models.velocity import FlowInputs
from cosyrt.ranges import BLOCKS, CHUNK, LAYERS, SIZE

BlockLists = Iterable[nn.ModuleList]  # what a list of stages holds; torch's types know only of modules


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Sizes of the causal U-Net."""

    inputs: int = 320
    mel_bins: int = 80
    channels: int = 256
    head_width: int = 64
    heads: int = 8
    blocks: int = 4
    middle: int = 12
    chunk_frames: int = 50

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> UNetConfig:
        """Read the arguments of upstream's `CausalConditionalDecoder` in a model description."""
        (channels,) = SIZE.each(args, "channels")
        return cls(
            inputs=SIZE.of(args, "in_channels"),
            mel_bins=SIZE.of(args, "out_channels"),
            channels=channels,
            head_width=SIZE.of(args, "attention_head_dim"),
            heads=SIZE.of(args, "num_heads"),
            blocks=BLOCKS.of(args, "n_blocks"),
            middle=LAYERS.of(args, "num_mid_blocks"),
            chunk_frames=CHUNK.of(args, "static_chunk_size", 50),
        )


class TimeEmbedding(nn.Module):
    """Sinusoids of the time, then two linear maps."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.linear_1 = nn.Linear(inputs, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(
        self,
        t: Tensor,  # [B] 0 is noise, 1 is mel
    ) -> Tensor:  # [B, 4C]
        waves = time_waves(t, self.inputs).to(self.linear_1.weight)
        out: Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return out


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a convolution's output."""

    def forward(
        self,
        x: Tensor,  # [B, C, M]
    ) -> Tensor:  # [B, C, M]
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ConvBlock(nn.Module):
    """Causal convolution, norm, Mish; padding stays zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # Index 1 is empty because upstream keeps a transposition there; checkpoints name the norm 2.
        conv, norm = CausalConv(inputs, outputs, 3), ChannelNorm(outputs)
        self.block = nn.Sequential(conv, nn.Identity(), norm, nn.Mish())

    def forward(
        self,
        x: Tensor,  # [B, C, M]
        valid: Tensor,  # [B, 1, M]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C', M]
        conv, _, norm, activation = self.block
        out: Tensor = activation(norm(conv(x * valid, cache))) * valid
        return out


class ResidualBlock(nn.Module):
    """Two convolution blocks with the time added between them."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        time_width: int,
        block: Callable[[int, int], nn.Module] = ConvBlock,
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(time_width, outputs))
        self.block1 = block(inputs, outputs)
        self.block2 = block(outputs, outputs)
        self.res_conv = nn.Conv1d(inputs, outputs, 1)

    def forward(
        self,
        x: Tensor,  # [B, C, M]
        valid: Tensor,  # [B, 1, M]
        time: Tensor,  # [B, C'], or [B, n, C'] of n packed streams: what `mlp` makes of the time
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C', M]
        h = self.block1(x, valid, cache) + of_each_frame(time, cache).transpose(1, 2)
        out: Tensor = self.block2(h, valid, cache) + self.res_conv(x * valid)
        return out


def timed_blocks(
    unet: nn.Module,
    time: Tensor,  # [B, 4C]
) -> Tensor:  # [B, P]
    """Compute what every residual block of a U-Net makes of the time, one after another."""
    blocks = (block for block in unet.modules() if isinstance(block, ResidualBlock))
    return torch.cat([block.mlp(time) for block in blocks], dim=1)


def block_by_block(
    unet: nn.Module,
    timed: Tensor,  # [B, P] or [B, n, P]
) -> Iterator[Tensor]:  # [B, C'] or [B, n, C'] each
    """Split what `timed_blocks` gives into the part of each block, in the order in which they run."""
    blocks = (block for block in unet.modules() if isinstance(block, ResidualBlock))
    return iter(torch.split(timed, [block.res_conv.out_channels for block in blocks], dim=-1))


class Attention(nn.Module):
    """Multi-head self-attention whose inner width is its own."""

    def __init__(self, channels: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, inner, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(
        self,
        x: Tensor,  # [B, M, C]
        mask: Tensor,  # [B, 1, M, K]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, C]
        split = (-1, (self.heads, -1))
        q, k, v = (proj(x).unflatten(*split).transpose(1, 2) for proj in (self.to_q, self.to_k, self.to_v))
        attended = attend(q, k, v, mask, cache)
        out: Tensor = self.to_out[0](attended.transpose(1, 2).flatten(2))
        return out


class Widen(nn.Module):
    """Linear map and GELU: the first half of the feed-forward, with a name that checkpoints know."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, hidden)

    def forward(
        self,
        x: Tensor,  # [B, M, C]
    ) -> Tensor:  # [B, M, 4C]
        return F.gelu(self.proj(x))


class FeedForward(nn.Module):
    """Feed-forward that is four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Index 1 is upstream's dropout, which inference does without; checkpoints name the second map 2.
        hidden = 4 * channels
        self.net = nn.Sequential(Widen(channels, hidden), nn.Identity(), nn.Linear(hidden, channels))

    def forward(
        self,
        x: Tensor,  # [B, M, C]
    ) -> Tensor:  # [B, M, C]
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to its input."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.channels)
        self.attn1 = Attention(config.channels, config.heads, config.head_width)
        self.norm3 = nn.LayerNorm(config.channels)
        self.ff = FeedForward(config.channels)

    def forward(
        self,
        x: Tensor,  # [B, M, C]
        mask: Tensor,  # [B, 1, M, K]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, C]
        x = x + self.attn1(self.norm1(x), mask, cache)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class CausalUNet(nn.Module):
    """Velocity of CosyVoice 2: one block down, some in the middle, one up, all convolutions causal."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.time_mlp = TimeEmbedding(c.inputs, 4 * c.channels)
        self.down_blocks = nn.ModuleList([self.stage(c.inputs, closing=True)])
        self.mid_blocks = nn.ModuleList(self.stage(c.channels, closing=False) for _ in range(c.middle))
        self.up_blocks = nn.ModuleList([self.stage(2 * c.channels, closing=True)])
        self.final_block = ConvBlock(c.channels, c.channels)
        self.final_proj = nn.Conv1d(c.channels, c.mel_bins, 1)

    def stage(self, inputs: int, *, closing: bool) -> nn.ModuleList:
        """Make a residual block, its transformer blocks and, at the ends of the "U", one more convolution."""
        c = self.config
        parts: list[nn.Module] = [
            ResidualBlock(inputs, c.channels, 4 * c.channels),
            nn.ModuleList(TransformerBlock(c) for _ in range(c.blocks)),
        ]
        return nn.ModuleList([*parts, CausalConv(c.channels, c.channels, 3)] if closing else parts)

    def timed(
        self,
        t: Tensor,  # [B] 0 is noise, 1 is mel
    ) -> Tensor:  # [B, P]
        """Compute all that depends on the time alone; `forward` takes it in place of the time."""
        return timed_blocks(self, self.time_mlp(t))

    def forward(
        self,
        inputs: FlowInputs,
        cache: StreamCache | None = None,  # of the frames before these, at the same t
    ) -> Tensor:  # [B, 80, M]
        x, valid, mask, mu, t, _, prompt = inputs
        head_mask = mask[:, None]
        times = block_by_block(self, self.timed(t) if t.ndim == 1 else t)
        x = torch.cat([x, mu, inputs.speaker_frames(), prompt], dim=1)
        (down,), (up,) = cast(BlockLists, self.down_blocks), cast(BlockLists, self.up_blocks)
        skip = self.run(down, x, valid, head_mask, next(times), cache)
        x = down[2](skip * valid, cache)
        for middle in cast(BlockLists, self.mid_blocks):
            x = self.run(middle, x, valid, head_mask, next(times), cache)
        x = self.run(up, torch.cat([x, skip], dim=1), valid, head_mask, next(times), cache)
        x = self.final_block(up[2](x * valid, cache), valid, cache)
        out: Tensor = self.final_proj(x * valid) * valid
        return out

    def run(
        self,
        stage: nn.ModuleList,
        x: Tensor,  # [B, C, M]
        valid: Tensor,  # [B, 1, M]
        mask: Tensor,  # [B, 1, M, K]
        time: Tensor,  # [B, C'] or [B, n, C']
        cache: StreamCache | None,
    ) -> Tensor:  # [B, C', M]
        """Run one stage without its closing convolution."""
        x = stage[0](x, valid, time, cache).transpose(1, 2)
        for block in cast(nn.ModuleList, stage[1]):
            x = block(x, mask, cache)
        return x.transpose(1, 2)
