"""Layers of both families' encoders in the part of Python that TorchScript compiles.

They hold the plain models' own weights; `tests/accel/torchscript` holds them against the plain models. Here a
cache is no object but a list of tensors, in the order of its slots.

Shapes: B batch · T positions · D width · H heads · E head width.
"""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import Block, RelativeAttention, by_distance


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
    """Script each block of a stack."""
    return nn.ModuleList(ScriptedBlock(block) for block in plain if isinstance(block, Block))
