"""Embeddings → encoding: the conformer of CosyVoice 1, the up-sampling one of CosyVoice 2.

Shapes: B batch · S speech tokens · M = up · S mel frames · T either of them ·
K = past + T positions to look at · D width · H heads · E head width.
Source: Conformer (arXiv:2005.08100) without its convolution module, relative positions as in Transformer-XL
(arXiv:1901.02860); upstream's `transformer/upsample_encoder.py`, `attention.py`, `embedding.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.layers import CausalConv
from cosyrt.models.stream_cache import StreamCache
from cosyrt.ranges import CHUNK, LAYERS, SIZE

LAYER_NORM_EPS = 1e-12  # inside the blocks; the norms around them keep torch's 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksConfig:
    """Sizes of one stack of blocks, in CosyVoice 1 of text or of speech tokens."""

    inputs: int = 512  # width of what comes in
    width: int = 512
    heads: int = 8
    feed_forward: int = 2048
    layers: int = 6

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> BlocksConfig:
        """Read the arguments of upstream's `ConformerEncoder` or `TransformerEncoder`."""
        return cls(
            inputs=SIZE.of(args, "input_size"),
            width=SIZE.of(args, "output_size"),
            heads=SIZE.of(args, "attention_heads"),
            feed_forward=SIZE.of(args, "linear_units"),
            layers=LAYERS.of(args, "num_blocks"),
        )


CHUNK_TOKENS = 25  # where a description does not say, as those of before April 2025


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformerConfig:
    """Sizes of the encoder. `up_layers` is 4 in every published checkpoint and not in their description."""

    width: int = 512
    heads: int = 8
    feed_forward: int = 2048
    layers: int = 6
    up_layers: int = 4
    up: int = 2
    lookahead_tokens: int = 3
    chunk_tokens: int = CHUNK_TOKENS

    @classmethod
    def from_description(cls, args: Mapping[str, Any], *, up: int, lookahead_tokens: int) -> ConformerConfig:
        """Read the arguments of upstream's `UpsampleConformerEncoder` in a model description."""
        return cls(
            width=SIZE.of(args, "output_size"),
            heads=SIZE.of(args, "attention_heads"),
            feed_forward=SIZE.of(args, "linear_units"),
            layers=LAYERS.of(args, "num_blocks"),
            up_layers=LAYERS.of(args, "num_up_blocks", 4),
            up=up,
            lookahead_tokens=lookahead_tokens,
            chunk_tokens=CHUNK.of(args, "static_chunk_size", CHUNK_TOKENS),
        )


class InputLayer(nn.Module):
    """Linear, norm, and upstream's scaling by the root of the width."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width))
        self.scale = sqrt(width)

    def forward(
        self,
        x: Tensor,  # [B, T, inputs]
    ) -> Tensor:  # [B, T, D]
        out: Tensor = self.out(x) * self.scale
        return out


class LookAhead(nn.Module):
    """Add to each token what the few after it say, so that the rest of the model may be causal."""

    def __init__(self, width: int, lookahead: int, hidden: int) -> None:
        super().__init__()
        self.lookahead = lookahead
        self.conv1 = nn.Conv1d(width, hidden, lookahead + 1)
        self.conv2 = CausalConv(hidden, width, 3)

    def forward(
        self,
        x: Tensor,  # [B, S, D]
        context: Tensor | None = None,  # [B, lookahead, D] what follows; None: silence follows
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, S, D]
        lookahead = F.pad(x, (0, 0, 0, self.lookahead)) if context is None else torch.cat([x, context], dim=1)
        attended: Tensor = self.conv2(F.leaky_relu(self.conv1(lookahead.transpose(1, 2))), cache)
        return x + attended.transpose(1, 2)


class Up(nn.Module):
    """Repeat each position, then smooth with a causal convolution."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = CausalConv(width, width, 2 * factor + 1)

    def forward(
        self,
        x: Tensor,  # [B, S, D]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        out: Tensor = self.conv(x.repeat_interleave(self.factor, dim=1).transpose(1, 2), cache)
        return out.transpose(1, 2)


def sinusoids(
    distance: Tensor,  # [T]
    width: int,
) -> Tensor:  # [T, D] float32
    """Interleaved sines and cosines of distances; half precision ruins them."""
    rates = torch.exp(torch.arange(0, width, 2, device=distance.device) * (-log(10_000.0) / width))
    angles = distance[:, None].float() * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def distances(
    rows: int,
    columns: int,
    width: int,
    like: Tensor,
) -> Tensor:  # [rows + columns - 1, D]
    """Sinusoids of every distance from the last `rows` of `columns` positions to any of them."""
    return sinusoids(torch.arange(columns - 1, -rows, -1, device=like.device), width).to(like.dtype)


def by_distance(
    scores: Tensor,  # [B, H, T, T + K - 1] a column for each distance
) -> Tensor:  # [B, H, T, K] a column for each position
    """Shift every row so that its columns count positions (the shift of Transformer-XL)."""
    b, h, rows, columns = scores.shape
    shifted = F.pad(scores, (1, 0)).view(b, h, columns + 1, rows)[:, :, 1:].view(b, h, rows, columns)
    return shifted[..., : columns - rows + 1]


class RelativeAttention(nn.Module):
    """Self-attention whose scores also depend on the distance."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q, self.linear_k, self.linear_v = (nn.Linear(width, width) for _ in range(3))
        self.linear_out = nn.Linear(width, width)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, width // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, width // heads))

    def split(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, H, T, E]
        """Split the width into one slice a head."""
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, 1, T, K] True where a position may look
        distance: Tensor,  # [T + K - 1, D]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, T, D]
        q, k, v = (self.split(proj(x)) for proj in (self.linear_q, self.linear_k, self.linear_v))
        if cache is not None:
            k, v = cache.append(k), cache.append(v)
        p = self.split(self.linear_pos(distance)[None])
        scale = 1 / sqrt(q.shape[-1])
        far = by_distance((q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1)) * scale
        bias = far.masked_fill(~mask, float("-inf"))
        near = q + self.pos_bias_u[:, None]
        attended = F.scaled_dot_product_attention(near, k, v, attn_mask=bias, scale=scale)
        out: Tensor = self.linear_out(attended.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear maps around a swish."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, hidden)
        self.w_2 = nn.Linear(hidden, width)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, T, D]
        out: Tensor = self.w_2(F.silu(self.w_1(x)))
        return out


class Block(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to its input."""

    def __init__(self, config: BlocksConfig | ConformerConfig) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(config.width, config.heads)
        self.feed_forward = FeedForward(config.width, config.feed_forward)
        self.norm_mha = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.norm_ff = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, 1, T, K]
        distance: Tensor,  # [T + K - 1, D]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, T, D]
        x = x + self.self_attn(self.norm_mha(x), mask, distance, cache)
        out: Tensor = x + self.feed_forward(self.norm_ff(x))
        return out


class Conformer(nn.Module):
    """Stack of blocks at one rate: CosyVoice 1's encoder of text and of speech tokens."""

    def __init__(self, config: BlocksConfig) -> None:
        super().__init__()
        self.embed = InputLayer(config.inputs, config.width)
        self.encoders = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.after_norm = nn.LayerNorm(config.width)

    def forward(
        self,
        x: Tensor,  # [B, T, inputs]
        mask: Tensor,  # [B, T, T] True where a position may look
    ) -> Tensor:  # [B, T, D]
        x = self.embed(x)
        distance = distances(x.shape[1], x.shape[1], x.shape[2], x)
        for block in self.encoders:
            x = block(x, mask[:, None], distance)
        out: Tensor = self.after_norm(x)
        return out


class UpsampleConformer(nn.Module):
    """Blocks at the token rate, up-sampling, blocks at the mel rate."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = InputLayer(config.width, config.width)
        self.pre_lookahead_layer = LookAhead(config.width, config.lookahead_tokens, config.width)
        self.encoders = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.up_layer = Up(config.width, config.up)
        self.up_embed = InputLayer(config.width, config.width)
        self.up_encoders = nn.ModuleList(Block(config) for _ in range(config.up_layers))
        self.after_norm = nn.LayerNorm(config.width)

    def forward(
        self,
        x: Tensor,  # [B, S, D] token embeddings
        mask: Tensor,  # [B, S, past + S] True where a token may look
        mask_up: Tensor,  # [B, M, past + M] True where a frame may look
        context: Tensor | None = None,  # [B, lookahead, D] embeddings of the tokens that follow
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        lookahead = None if context is None else self.embed(context)
        x = self.pre_lookahead_layer(self.embed(x), lookahead, cache)
        x = self.through(self.encoders, x, mask, cache)
        x = self.through(self.up_encoders, self.up_embed(self.up_layer(x, cache)), mask_up, cache)
        out: Tensor = self.after_norm(x)
        return out

    def through(
        self,
        blocks: nn.ModuleList,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, T, K]
        cache: StreamCache | None,
    ) -> Tensor:  # [B, T, D]
        """Run one stack of blocks; they share their table of distances."""
        distance = distances(mask.shape[1], mask.shape[2], x.shape[2], x)
        for block in blocks:
            x = block(x, mask[:, None], distance, cache)
        return x
