"""Encoders of CosyVoice 1 as archives: scripted, the calls they must answer, and their places in the model.

Shapes: B batch · T positions of this call · K positions to look at · C cache capacity · D width · H heads ·
E head width · L layers.
Source of the signatures: upstream's `transformer/encoder.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.accel.torchscript.archive import LENGTHS, Archive, Case, remedy, with_module
from cosyrt.accel.torchscript.scripted import ScriptedAttention, scripted_blocks
from cosyrt.engine.stages import Networks, Stages
from cosyrt.errors import ArchiveError
from cosyrt.models.conformer import Conformer, RelativeAttention, distances, sinusoids
from cosyrt.models.kv_cache import KeyValueCache, RelativeCache
from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.regulated_flow import RegulatedFlow
from cosyrt.models.transformer_lm import CachedTransformer, Layer, TransformerLM

log = logging.getLogger(__name__)

CAUSAL = 1  # the chunk size of a causal mask
CALLS = (23, 1, 1, 1)  # positions a call: what is read at once, then token by token


class ScriptedConformer(nn.Module):
    """`llm.text_encoder` and `flow.encoder` of CosyVoice 1; with a chunk of 1 they are causal."""

    def __init__(self, plain: Conformer, chunk: int | None) -> None:
        super().__init__()
        self.embed, self.after_norm = plain.embed, plain.after_norm
        self.encoders = scripted_blocks(plain.encoders)
        self.chunk = chunk
        self.width, self.heads = _sizes(plain.encoders)

    def forward(
        self,
        xs: Tensor,  # [B, T, inputs]
        xs_lens: Tensor,  # [B] positions that are not padding
        decoding_chunk_size: int = 0,
        num_decoding_left_chunks: int = -1,
    ) -> tuple[Tensor, Tensor]:  # [B, T, D] and which positions are not padding [B, 1, T]
        """Encode everything at once; the two numbers are upstream's and unused there too."""
        valid = valid_positions(xs_lens, xs.shape[1])
        mask = attention_mask(valid, self.chunk)[:, None]
        x = self.embed(xs)
        distance = distances(x.shape[1], x.shape[1], self.width, x)
        none = x.new_zeros([x.shape[0], self.heads, 0, self.width // self.heads])
        for block in self.encoders:
            x, _, _ = block(x, mask, distance, none, none)
        return self.after_norm(x), valid[:, None]


class ScriptedCachedAttention(ScriptedAttention):
    """Self-attention by distance; also over a cache with room for what comes, as the plain model does it."""

    def step(
        self,
        x: Tensor,  # [B, T, D]
        waves: Tensor,  # [1, T', D] sinusoids of the distances that are new
        rows: Tensor,  # [T'] which they are
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        keys: Tensor,  # [B, H, C, E]
        values: Tensor,  # [B, H, C, E]
        distance: Tensor,  # [1, H, C, E]
    ) -> Tensor:  # [B, T, D]
        """Attend over the cache; what is new is written to it, in its own precision."""
        q, k, v = self.split(self.linear_q(x)), self.split(self.linear_k(x)), self.split(self.linear_v(x))
        p, shown = self.split(self.linear_pos(waves)), mask.shape[-1]
        where = positions[:, None, :, None].expand_as(k)
        k = keys.scatter_(2, where, k.to(keys.dtype))[:, :, :shown].to(q.dtype)
        v = values.scatter_(2, where, v.to(keys.dtype))[:, :, :shown].to(q.dtype)
        p = distance.index_copy_(2, rows, p.to(keys.dtype))[:, :, :shown].to(q.dtype)
        far = (q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1) * self.scale
        left = (positions[:, None, :, None] - torch.arange(shown, device=x.device)).clamp(min=0)
        bias = far.gather(-1, left.expand_as(far)).masked_fill(~mask, float("-inf"))
        near = q + self.pos_bias_u[:, None]
        attended = F.scaled_dot_product_attention(near, k, v, attn_mask=bias, scale=self.scale)
        out: Tensor = self.linear_out(attended.transpose(1, 2).flatten(2))
        return out


class ScriptedLayer(nn.Module):
    """A layer of the language model: over tensors of the past, or over a cache."""

    def __init__(self, plain: Layer) -> None:
        super().__init__()
        self.self_attn, self.feed_forward = ScriptedCachedAttention(plain.self_attn), plain.feed_forward
        self.norm1, self.norm2 = plain.norm1, plain.norm2

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        mask: Tensor,  # [B, 1, T, K] or what broadcasts to it
        distance: Tensor,  # [T + K - 1, D]
        past: Tensor,  # [1, H, past, 2 · E] keys beside values
    ) -> tuple[Tensor, Tensor]:  # [B, T, D], and keys beside values with the new ones
        keys, values = past.chunk(2, dim=-1)
        attended, k, v = self.self_attn(self.norm1(x), mask, distance, keys, values)
        x = x + attended
        return x + self.feed_forward(self.norm2(x)), torch.cat([k, v], dim=-1)

    def step(
        self,
        x: Tensor,  # [B, T, D]
        waves: Tensor,  # [1, T', D]
        rows: Tensor,  # [T']
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        keys: Tensor,  # [B, H, C, E]
        values: Tensor,  # [B, H, C, E]
        distance: Tensor,  # [1, H, C, E]
    ) -> Tensor:  # [B, T, D]
        """Run the layer over a cache."""
        x = x + self.self_attn.step(self.norm1(x), waves, rows, positions, mask, keys, values, distance)
        out: Tensor = x + self.feed_forward(self.norm2(x))
        return out


class ScriptedTransformer(nn.Module):
    """`llm.llm` of CosyVoice 1. `forward` and `forward_chunk` are upstream's, `step` is the plain model's."""

    def __init__(self, plain: CachedTransformer) -> None:
        super().__init__()
        self.embed, self.after_norm = plain.embed, plain.after_norm
        self.width, self.heads = _sizes(plain.encoders)
        self.encoders = nn.ModuleList(
            ScriptedLayer(layer) for layer in plain.encoders if isinstance(layer, Layer)
        )

    def forward(
        self,
        xs: Tensor,  # [B, T, D]
        xs_lens: Tensor,  # [B]
        decoding_chunk_size: int = 0,
        num_decoding_left_chunks: int = -1,
    ) -> tuple[Tensor, Tensor]:  # [B, T, D] and which positions are not padding [B, 1, T]
        """Run a whole causal sequence; the two numbers are unused."""
        valid = valid_positions(xs_lens, xs.shape[1])
        x = self.embed(xs)
        distance = distances(x.shape[1], x.shape[1], self.width, x)
        none = x.new_zeros([x.shape[0], self.heads, 0, 2 * (self.width // self.heads)])
        for layer in self.encoders:
            x, _ = layer(x, attention_mask(valid, 1)[:, None], distance, none)
        return self.after_norm(x), valid[:, None]

    @torch.jit.export
    def forward_chunk(
        self,
        xs: Tensor,  # [1, T, D] what is new
        offset: int,
        required_cache_size: int,
        att_cache: Tensor = torch.zeros(0, 0, 0, 0),  # noqa: B008 - [L, H, past, 2 · E]; upstream's default
        cnn_cache: Tensor = torch.zeros(0, 0, 0, 0),  # noqa: B008 - of no use without convolutions
        att_mask: Tensor = torch.ones((0, 0, 0), dtype=torch.bool),  # noqa: B008 - [1, T, K]; empty: all is seen
    ) -> tuple[Tensor, Tensor, Tensor]:  # [1, T, D], the caches for the next call
        """Run what follows a cache of length `offset`; a `required_cache_size` below zero keeps all of it."""
        if att_cache.shape[0] == 0:
            att_cache = xs.new_zeros([len(self.encoders), self.heads, 0, 2 * (self.width // self.heads)])
        x = self.embed(xs)
        seen = att_cache.shape[2] + x.shape[1]
        if att_mask.shape[2] == 0:
            att_mask = torch.ones(1, 1, 1, dtype=torch.bool, device=x.device)
        distance = distances(x.shape[1], seen, self.width, x)
        kept: list[Tensor] = []
        for i, layer in enumerate(self.encoders):
            x, past = layer(x, att_mask[:, None, :, :seen], distance, att_cache[i : i + 1])
            kept.append(past if required_cache_size < 0 else past[:, :, max(seen - required_cache_size, 0) :])
        return self.after_norm(x), torch.cat(kept), x.new_zeros([len(self.encoders), 0, 0, 0])

    @torch.jit.export
    def step(
        self,
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T] where each input stands in its sequence
        mask: Tensor,  # [B, 1, T, K]
        keys: Tensor,  # [L, B, H, C, E]
        values: Tensor,  # [L, B, H, C, E]
        distance: Tensor,  # [L, 1, H, C, E]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # [B, T, D], and the cache, which is written to
        """Step as the plain model does: what is known of the past is not computed or copied again."""
        x = self.embed(x)
        rows = positions.flatten()
        waves = sinusoids(rows, self.width).to(x.dtype)[None]
        for i, layer in enumerate(self.encoders):
            x = layer.step(x, waves, rows, positions, mask, keys[i], values[i], distance[i])  # type: ignore[operator]
        return self.after_norm(x), keys, values, distance


def _sizes(blocks: nn.ModuleList) -> tuple[int, int]:
    """Width and number of heads of a stack."""
    attention = blocks[0].get_submodule("self_attn")
    assert isinstance(attention, RelativeAttention)
    return attention.linear_q.out_features, attention.heads


def lm_of(networks: Networks) -> TransformerLM:
    """Language model of CosyVoice 1."""
    assert isinstance(networks.llm, TransformerLM)
    return networks.llm


def flow_of(networks: Networks) -> RegulatedFlow:
    """Flow of CosyVoice 1."""
    assert isinstance(networks.flow, RegulatedFlow)
    return networks.flow


def scripted_text_encoder(networks: Networks) -> nn.Module:
    """`llm.text_encoder` as TorchScript compiles it."""
    return ScriptedConformer(lm_of(networks).text_encoder, CAUSAL)


def scripted_flow_encoder(networks: Networks) -> nn.Module:
    """`flow.encoder` as TorchScript compiles it."""
    return ScriptedConformer(flow_of(networks).encoder, None)


def scripted_lm(networks: Networks) -> nn.Module:
    """`llm.llm` as TorchScript compiles it."""
    return ScriptedTransformer(lm_of(networks).llm)


def text_encoder_cases(networks: Networks) -> Iterator[Case]:
    """Calls of the text encoder with every length, some of them padded."""
    lm = lm_of(networks)
    return conformer_cases(lm.text_encoder, lm.config.text.inputs, CAUSAL)


def flow_encoder_cases(networks: Networks) -> Iterator[Case]:
    """Calls of the flow encoder with every length, some of them padded."""
    flow = flow_of(networks)
    return conformer_cases(flow.encoder, flow.config.encoder.inputs, None)


def conformer_cases(encoder: Conformer, inputs: int, chunk: int | None) -> Iterator[Case]:
    """Calls of `forward` with the numbers that upstream passes."""
    draw = torch.Generator().manual_seed(0)
    for number, length in enumerate(LENGTHS):
        lengths = torch.tensor([length] if number % 2 else [length, -(-length // 2)])
        valid = valid_positions(lengths, length)
        x = torch.randn(*valid.shape, inputs, generator=draw)
        yield Case("forward", (x, lengths, 1, -1), [encoder(x, attention_mask(valid, chunk)), valid[:, None]])


def lm_cases(networks: Networks) -> Iterator[Case]:
    """Calls with whole sequences, then with a prompt and token by token, from both kinds of cache."""
    lm = lm_of(networks)
    draw, inputs = torch.Generator().manual_seed(0), lm.config.speech.inputs
    for length in LENGTHS:
        x, cache = torch.randn(1, length, inputs, generator=draw), lm.empty_cache(1, length)
        y = lm.llm(x, *_from(0, length), cache)
        yield Case("forward", (x, torch.tensor([length]), 1, -1), [y, torch.ones(1, 1, length).bool()])
    start, cache = 0, lm.empty_cache(1, sum(CALLS))
    for number in CALLS:
        x, end = torch.randn(1, number, inputs, generator=draw), start + number
        before = [tensor.clone() for tensor in cache.tensors()]
        positions, mask = _from(start, end)
        y = lm.llm(x, positions, mask, cache)
        after = [tensor.clone() for tensor in cache.tensors()]
        none = y.new_zeros(len(after[0]), 0, 0, 0)
        asked = (x, start, -1, as_upstream(before[0], before[1], start), none, mask[0, :, :, -number:])
        yield Case("forward_chunk", asked, [y, as_upstream(after[0], after[1], end), none])
        yield Case("step", (x, positions, mask, *before), [y, *after])
        start = end


def _from(start: int, end: int) -> tuple[Tensor, Tensor]:
    """Positions [1, T] from start to end, and the mask of what they attend to [1, 1, T, end]."""
    positions = torch.arange(start, end)
    return positions[None], (torch.arange(end) <= positions[:, None])[None, None]


def as_upstream(
    keys: Tensor,  # [L, 1, H, C, E]
    values: Tensor,  # [L, 1, H, C, E]
    past: int,
) -> Tensor:  # [L, H, past, 2 · E]
    """Join keys and values of one sequence, as upstream keeps them."""
    return torch.cat([keys[:, 0, :, :past], values[:, 0, :, :past]], dim=-1)


def swap_text_encoder(networks: Networks, archive: Archive) -> Networks:
    """Networks whose text encoder is run by the archive."""
    lm = lm_of(networks)
    return replace(networks, llm=with_module(lm, "text_encoder", ArchivedConformer(archive)))


def swap_flow_encoder(networks: Networks, archive: Archive) -> Networks:
    """Networks whose flow encoder is run by the archive."""
    flow = flow_of(networks)
    return replace(networks, flow=with_module(flow, "encoder", ArchivedConformer(archive)))


def swap_lm(networks: Networks, archive: Archive) -> Networks:
    """Networks whose autoregressive stack is run by the archive."""
    lm = lm_of(networks)
    return replace(networks, llm=with_module(lm, "llm", ArchivedTransformer(archive)))


def try_text(stages: Stages, device: torch.device) -> Tensor:
    """Log-probabilities after two text tokens and after one speech token."""
    cache, pair = stages.new_cache(1, 16), torch.tensor([[0, 1]], device=device)
    log_probabilities: Tensor = stages.prefill(pair, pair[:, :1], cache)
    seen = torch.ones(1, 1, 1, 6, dtype=torch.bool, device=device)
    return torch.cat([log_probabilities, stages.step(pair[0, :1], pair.new_tensor([5]), seen, cache)])


class ArchivedConformer(nn.Module):
    """A module in the place of a conformer that runs an archive, which makes its own mask."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive

    def forward(
        self,
        x: Tensor,  # [B, T, inputs]
        mask: Tensor,  # [B, T, T]
    ) -> Tensor:  # [B, T, D]
        lengths = mask[:, -1].sum(dim=-1)
        y: Tensor
        y, _ = self.archive.call("forward", x.to(self.archive.dtype), lengths, 1, -1)
        return y.to(x.dtype)


class ArchivedTransformer(nn.Module):
    """A module in the place of the autoregressive stack that runs an archive.

    Ours writes to the cache as the plain one does. Upstream's copies all of it at every step, and knows one
    sequence at a time.
    """

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.writes = archive.has("step")
        if not self.writes:
            log.warning("%s copies its cache at every step; export again to avoid that", archive.path)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, T, D]
        assert isinstance(cache, RelativeCache)
        half = x.to(self.archive.dtype)
        y: Tensor
        if self.writes:
            y, *_ = self.archive.call("step", half, positions, mask, *cache.tensors())
            return y.to(x.dtype)
        past = mask.shape[-1] - x.shape[1]
        if x.shape[0] > 1 or (past and x.shape[1] > 1):
            raise ArchiveError(
                f"{self.archive.path} takes one sequence and one token at a time; {remedy(self.archive.path)}"
            )
        before = as_upstream(cache.keys, cache.values, past).to(half.dtype)
        new = mask[0, :, :, past:]
        y, after, _ = self.archive.call("forward_chunk", half, past, -1, before, before[..., :0], new)
        between = slice(past, past + x.shape[1])
        cache.keys[:, :, :, between], cache.values[:, :, :, between] = after[:, None, :, past:].chunk(
            2, dim=-1
        )
        return y.to(x.dtype)
