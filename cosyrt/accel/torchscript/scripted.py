"""The encoders once more, in the part of Python that TorchScript compiles, with upstream's signatures.

They hold the plain models' own layers, so there is one set of weights;
`tests/accel/torchscript/test_scripted.py` holds them against the plain models. Memory is not an object here
but a list of tensors, in the order of its slots.

Shapes: B batch · S speech tokens · M = up · S mel frames · T either · D width · H heads · E head width.
Source of the signatures: upstream's `transformer/upsample_encoder.py`.
"""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import Block, RelativeAttention, UpsampleConformer, by_distance, distances
from cosyrt.models.layers import CausalConv, attention_mask, valid_positions


class ScriptedAttention(nn.Module):
    """Self-attention by distance; keys and values of the past come in, those of past and present go out."""

    def __init__(self, plain: RelativeAttention) -> None:
        super().__init__()
        self.heads = plain.heads
        self.scale = 1 / sqrt(plain.pos_bias_u.shape[1])
        self.linear_q, self.linear_k, self.linear_v = plain.linear_q, plain.linear_k, plain.linear_v
        self.linear_out, self.linear_pos = plain.linear_out, plain.linear_pos
        self.pos_bias_u, self.pos_bias_v = plain.pos_bias_u, plain.pos_bias_v

    def split(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, H, T, E]
        """One slice a head."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, 1, T, past + T]
        distance: Tensor,  # [past + 2 · T - 1, D]
        keys: Tensor,  # [B, H, past, E]
        values: Tensor,  # [B, H, past, E]
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, T, D], and keys and values with the new ones
        q = self.split(self.linear_q(x))
        k = torch.cat([keys, self.split(self.linear_k(x))], dim=2)
        v = torch.cat([values, self.split(self.linear_v(x))], dim=2)
        p = self.split(self.linear_pos(distance)[None])
        far = by_distance((q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1)) * self.scale
        bias = far.masked_fill(~mask, float("-inf"))
        near = q + self.pos_bias_u[:, None]
        attended = F.scaled_dot_product_attention(near, k, v, attn_mask=bias, scale=self.scale)
        return self.linear_out(attended.transpose(1, 2).flatten(2)), k, v


class ScriptedBlock(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to its input."""

    def __init__(self, plain: Block) -> None:
        super().__init__()
        self.self_attn, self.feed_forward = ScriptedAttention(plain.self_attn), plain.feed_forward
        self.norm_mha, self.norm_ff = plain.norm_mha, plain.norm_ff

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, 1, T, past + T]
        distance: Tensor,  # [past + 2 · T - 1, D]
        keys: Tensor,  # [B, H, past, E]
        values: Tensor,  # [B, H, past, E]
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, T, D], and keys and values with the new ones
        attended, k, v = self.self_attn(self.norm_mha(x), mask, distance, keys, values)
        x = x + attended
        return x + self.feed_forward(self.norm_ff(x)), k, v


def scripted_blocks(plain: nn.ModuleList) -> nn.ModuleList:
    """The same stack."""
    return nn.ModuleList(ScriptedBlock(block) for block in plain if isinstance(block, Block))


class ScriptedConv(nn.Module):
    """A causal convolution; what is left of its input comes in, and the same for the next call goes out."""

    def __init__(self, plain: CausalConv) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias

    def forward(
        self,
        x: Tensor,  # [B, C, T]
        before: Tensor,  # [B, C, reach]
    ) -> tuple[Tensor, Tensor]:  # [B, C', T] and [B, C, reach]
        joined = torch.cat([before, x], dim=2)
        return F.conv1d(joined, self.weight, self.bias), joined[:, :, x.shape[2] :]


class ScriptedUpsampleConformer(nn.Module):
    """`flow.encoder` of CosyVoice 2. `forward` is upstream's; `forward_chunk` goes on from a cache."""

    def __init__(self, plain: UpsampleConformer) -> None:
        super().__init__()
        c = plain.config
        self.up, self.lookahead, self.chunk = c.up, c.lookahead_tokens, c.chunk_tokens
        self.width, self.heads = c.width, c.heads
        self.embed, self.up_embed, self.after_norm = plain.embed, plain.up_embed, plain.after_norm
        self.ahead_conv = plain.pre_lookahead_layer.conv1
        self.ahead_tail = ScriptedConv(plain.pre_lookahead_layer.conv2)
        self.up_conv = ScriptedConv(plain.up_layer.conv)
        self.encoders = scripted_blocks(plain.encoders)
        self.up_encoders = scripted_blocks(plain.up_encoders)

    def forward(
        self,
        xs: Tensor,  # [B, S, D] token embeddings
        xs_lens: Tensor,  # [B] tokens that are not padding
        context: Tensor = torch.zeros(0, 0, 0),  # noqa: B008 - [B, lookahead, D] what follows; upstream's own default
        decoding_chunk_size: int = 0,
        num_decoding_left_chunks: int = -1,
        streaming: bool = False,
    ) -> tuple[Tensor, Tensor]:  # [B, M, D] and which frames are not padding [B, 1, M]
        """Everything at once, in upstream's terms; the two numbers are upstream's and unused there too."""
        valid = valid_positions(xs_lens, xs.shape[1])
        mask = attention_mask(valid, self.chunk if streaming else None)
        ys, _ = self.forward_chunk(xs, mask, context, self.nothing_before(xs))
        return ys, valid.repeat_interleave(self.up, dim=1)[:, None]

    @torch.jit.export
    def forward_chunk(
        self,
        xs: Tensor,  # [B, S, D] embeddings of the new tokens
        mask: Tensor,  # [B, S, past + S] True where a token may look
        context: Tensor,  # [B, lookahead, D] what follows, or of no length
        cache: list[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:  # [B, M, D] and the memory for the tokens that follow
        """The tokens after those of the memory; empty, there are none before."""
        if len(cache) == 0:
            cache = self.nothing_before(xs)
        later = 1 + 2 * len(self.encoders)  # where the slots of the mel's rate begin
        x = self.embed(xs)
        if context.shape[1] > 0:
            ahead = torch.cat([x, self.embed(context)], dim=1)
        else:
            ahead = F.pad(x, (0, 0, 0, self.lookahead))
        attended, tail = self.ahead_tail(F.leaky_relu(self.ahead_conv(ahead.transpose(1, 2))), cache[0])
        kept = [tail]
        x = x + attended.transpose(1, 2)
        distance = distances(mask.shape[1], mask.shape[2], x.shape[2], x)
        for i, block in enumerate(self.encoders):
            x, k, v = block(x, mask[:, None], distance, cache[1 + 2 * i], cache[2 + 2 * i])
            kept += [k, v]
        wide, tail = self.up_conv(x.repeat_interleave(self.up, dim=1).transpose(1, 2), cache[later])
        kept.append(tail)
        x = self.up_embed(wide.transpose(1, 2))
        mask = mask.repeat_interleave(self.up, dim=1).repeat_interleave(self.up, dim=2)
        distance = distances(mask.shape[1], mask.shape[2], x.shape[2], x)
        for i, block in enumerate(self.up_encoders):
            j = later + 1 + 2 * i
            x, k, v = block(x, mask[:, None], distance, cache[j], cache[j + 1])
            kept += [k, v]
        return self.after_norm(x), kept

    def nothing_before(self, xs: Tensor) -> list[Tensor]:
        """The memory of no tokens."""
        b = xs.shape[0]
        none = xs.new_zeros([b, self.heads, 0, self.width // self.heads])
        cache = [xs.new_zeros([b, self.width, 2])]
        for _ in self.encoders:
            cache += [none, none]
        cache.append(xs.new_zeros([b, self.width, 2 * self.up]))
        for _ in self.up_encoders:
            cache += [none, none]
        return cache
