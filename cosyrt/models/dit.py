"""noisy mel → velocity: the diffusion transformer of CosyVoice 3.

Shapes: B batch · M mel frames · K = past + M frames to look at · D width · H heads · E head width.
Source: DiT (arXiv:2212.09748) as in F5-TTS (arXiv:2410.06885), CosyVoice 3 (arXiv:2505.17589); upstream's
`flow/DiT/dit.py` and `modules.py`. Its checkpoints were trained with rotary positions on the first head only:
the rotation came before the heads were split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.layers import CausalConv, time_waves
from cosyrt.models.stream_cache import StreamCache, attend, of_each_frame
from cosyrt.models.velocity import FlowInputs, positions_of
from cosyrt.ranges import CHUNK, LAYERS, SIZE

TIME_WAVES = 256
POSITION_KERNEL, POSITION_GROUPS = 31, 16
NORM_EPS = 1e-6
ROPE_THETA = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiTConfig:
    """Sizes of the diffusion transformer."""

    width: int = 1024
    layers: int = 22
    heads: int = 16
    head_width: int = 64
    widening: int = 2
    mel_bins: int = 80
    mu_width: int = 80
    speaker_width: int = 80
    chunk_frames: int = 50

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> DiTConfig:
        """Read the arguments of upstream's `DiT` in a model description."""
        return cls(
            width=SIZE.of(args, "dim"),
            layers=LAYERS.of(args, "depth"),
            heads=SIZE.of(args, "heads"),
            head_width=SIZE.of(args, "dim_head"),
            widening=SIZE.of(args, "ff_mult"),
            mel_bins=SIZE.of(args, "mel_dim"),
            mu_width=SIZE.of(args, "mu_dim"),
            speaker_width=SIZE.of(args, "spk_dim"),
            chunk_frames=CHUNK.of(args, "static_chunk_size", 50),
        )


class TimeEmbedding(nn.Module):
    """Sinusoids of the time, then two linear maps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time_mlp = nn.Sequential(nn.Linear(TIME_WAVES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self,
        t: Tensor,  # [B] 0 is noise, 1 is mel
    ) -> Tensor:  # [B, D]
        first, _, last = self.time_mlp
        assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
        waves = time_waves(t, TIME_WAVES).to(first.weight)
        out: Tensor = last(F.silu(first(waves)))
        return out


class PositionEmbedding(nn.Module):
    """Two causal convolutions: where a frame stands among the frames before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Sequential(CausalConv(width, width, POSITION_KERNEL, groups=POSITION_GROUPS), nn.Mish())
            for _ in range(2)
        )

    def forward(
        self,
        x: Tensor,  # [B, M, D]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        x = x.transpose(1, 2)
        for conv, activation in (self.conv1, self.conv2):
            x = activation(conv(x, cache))
        return x.transpose(1, 2)


class InputEmbedding(nn.Module):
    """Mix everything that is known of a frame to one vector."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        inputs = 2 * config.mel_bins + config.mu_width + config.speaker_width
        self.proj = nn.Linear(inputs, config.width)
        self.conv_pos_embed = PositionEmbedding(config.width)

    def forward(
        self,
        x: Tensor,  # [B, M, inputs]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        x = self.proj(x)
        out: Tensor = x + self.conv_pos_embed(x, cache)
        return out


class RotaryPositions(nn.Module):
    """Rotation of each position; the rates are stored in checkpoints."""

    inv_freq: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        rates = ROPE_THETA ** -(torch.arange(0, width, 2) / width)
        self.register_buffer("inv_freq", rates)

    def forward(
        self,
        positions: Tensor,  # [B, M]
    ) -> tuple[Tensor, Tensor]:  # cos and sin, each [B, M, E / 2]
        angles = positions.to(self.inv_freq.device, torch.float32)[..., None] * self.inv_freq.float()
        return angles.cos(), angles.sin()


def first_head_rotated(
    x: Tensor,  # [B, H, M, E]
    rope: tuple[Tensor, Tensor],  # cos and sin, each [B, M, E / 2]; one row holds for all
) -> Tensor:  # [B, H, M, E]
    """Apply rotary positions (arXiv:2104.09864) to neighbouring pairs of the first head."""
    cos, sin = (part[:, None].to(x.dtype) for part in rope)
    even, odd = x[:, :1, :, 0::2], x[:, :1, :, 1::2]
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)
    return torch.cat([turned, x[:, 1:]], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.head_width
        self.to_q, self.to_k, self.to_v = (nn.Linear(config.width, inner) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, config.width)])

    def forward(
        self,
        x: Tensor,  # [B, M, D]
        mask: Tensor,  # [B, 1, M, K]
        rope: tuple[Tensor, Tensor],  # cos and sin, each [B, M, E / 2]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        split = (-1, (self.heads, -1))
        q, k, v = (proj(x).unflatten(*split).transpose(1, 2) for proj in (self.to_q, self.to_k, self.to_v))
        q, k = first_head_rotated(q, rope), first_head_rotated(k, rope)
        attended = attend(q, k, v, mask, cache)
        out: Tensor = self.to_out[0](attended.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear maps around a GELU."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        hidden = config.widening * config.width
        widen = nn.Sequential(nn.Linear(config.width, hidden), nn.GELU(approximate="tanh"))
        # Index 1 is upstream's dropout, which inference does without; checkpoints name the second map 2.
        self.ff = nn.Sequential(widen, nn.Identity(), nn.Linear(hidden, config.width))

    def forward(
        self,
        x: Tensor,  # [B, M, D]
    ) -> Tensor:  # [B, M, D]
        out: Tensor = self.ff(x)
        return out


class Modulation(nn.Module):
    """Shifts and scales of norms and gates of layers, made of the time."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(width, parts * width)

    def forward(
        self,
        time: Tensor,  # [B, D]
    ) -> Tensor:  # [B, parts · D]
        out: Tensor = self.linear(F.silu(time))
        return out

    def apart(
        self,
        made: Tensor,  # [B, parts · D], or [B, n, parts · D] of n packed streams
        cache: StreamCache | None,
    ) -> tuple[Tensor, ...]:  # each [B, 1, D] or [B, M, D]
        """Split what `forward` made into its parts, each to be applied to all frames."""
        return of_each_frame(made, cache).chunk(self.parts, dim=-1)


class ModulatedNorm(nn.Module):
    """Layer norm whose shift and scale follow the time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(
        self,
        x: Tensor,  # [B, M, D]
        shift: Tensor,  # [B, 1, D] or [B, M, D]
        scale: Tensor,  # [B, 1, D] or [B, M, D]
    ) -> Tensor:  # [B, M, D]
        # Not x.shape[-1:]: a graph that is exported wants this size fixed.
        return F.layer_norm(x, (self.width,), eps=NORM_EPS) * (1 + scale) + shift


class Block(nn.Module):
    """Attention, then feed-forward, each behind a modulated norm and added to its input through a gate."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.norm = ModulatedNorm(config.width)
        self.attn_norm = Modulation(config.width, 6)
        self.attn = Attention(config)
        self.ff = FeedForward(config)

    def forward(
        self,
        x: Tensor,  # [B, M, D]
        time: Tensor,  # [B, 6 · D] or [B, n, 6 · D] what `attn_norm` makes of the time
        mask: Tensor,  # [B, 1, M, K]
        rope: tuple[Tensor, Tensor],
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        shift, scale, gate, ff_shift, ff_scale, ff_gate = self.attn_norm.apart(time, cache)
        x = x + gate * self.attn(self.norm(x, shift, scale), mask, rope, cache)
        out: Tensor = x + ff_gate * self.ff(self.norm(x, ff_shift, ff_scale))
        return out


class DiT(nn.Module):
    """Velocity of CosyVoice 3: causal but for the attention, which follows its mask."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.time_embed = TimeEmbedding(c.width)
        self.input_embed = InputEmbedding(c)
        self.rotary_embed = RotaryPositions(c.head_width)
        self.transformer_blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = ModulatedNorm(c.width)
        self.norm_out = Modulation(c.width, 2)
        self.proj_out = nn.Linear(c.width, c.mel_bins)

    @property
    def modulations(self) -> list[Modulation]:
        """Modulation of each block, then that of the last norm."""
        return [part for part in self.modules() if isinstance(part, Modulation)]

    def timed(
        self,
        t: Tensor,  # [B] 0 is noise, 1 is mel
    ) -> Tensor:  # [B, P]
        """Compute all that depends on the time alone; `forward` takes it in place of the time."""
        time = self.time_embed(t)
        return torch.cat([modulation(time) for modulation in self.modulations], dim=1)

    def rope(
        self,
        positions: Tensor,  # [B, M] where each frame stands in its utterance; one row holds for all
    ) -> tuple[Tensor, Tensor]:  # cos and sin, each [B, M, E / 2]
        """Compute all that depends on positions alone; `forward` takes it, too."""
        cos, sin = self.rotary_embed(positions)
        return cos, sin

    def forward(
        self,
        inputs: FlowInputs,
        cache: StreamCache | None = None,  # of the frames before these, at the same t
        rope: tuple[Tensor, Tensor] | None = None,  # what `rope` makes of the frames; None: it is made here
    ) -> Tensor:  # [B, 80, M]
        x, valid, mask, mu, t, _, prompt = inputs
        timed = self.timed(t) if t.ndim == 1 else t
        times = torch.split(timed, [part.parts * self.config.width for part in self.modulations], dim=-1)
        rope = rope or self.rope(positions_of(inputs, cache))
        known = torch.cat([x, prompt, mu, inputs.speaker_frames()], dim=1)
        y = self.input_embed(known.transpose(1, 2), cache)
        for block, time in zip(self.transformer_blocks, times[:-1], strict=True):
            y = block(y, time, mask[:, None], rope, cache)
        scale, shift = self.norm_out.apart(times[-1], cache)  # the other way round than in the blocks
        out: Tensor = self.proj_out(self.norm(y, shift, scale))
        return out.transpose(1, 2) * valid
