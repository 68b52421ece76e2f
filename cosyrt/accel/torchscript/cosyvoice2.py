"""`flow.encoder` of CosyVoice 2 as an archive: scripted, the calls it must answer, and its place.

Shapes: B batch · S speech tokens · M = up · S mel frames · T either · D width · H heads · E head width.
Source of the signatures: upstream's `transformer/upsample_encoder.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.accel.torchscript.archive import LENGTHS, Archive, Case, remedy, with_module
from cosyrt.accel.torchscript.scripted import scripted_blocks
from cosyrt.engine.stages import Networks, Stages
from cosyrt.errors import ArchiveError
from cosyrt.models.conformer import UpsampleConformer, distances
from cosyrt.models.flow import Flow
from cosyrt.models.layers import CausalConv, at_mel_rate, attention_mask, valid_positions
from cosyrt.models.stream_cache import StreamCache

log = logging.getLogger(__name__)

CHUNKS = (25, 50, 25, 2)  # tokens a call, one after another


class ScriptedConv(nn.Module):
    """Causal convolution; its left context comes in, and that of the next call goes out."""

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
    """`flow.encoder` of CosyVoice 2. `forward` is upstream's; `forward_chunk` resumes from a cache."""

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
        """Encode everything at once, in upstream's terms; the two numbers are unused there too."""
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
    ) -> tuple[Tensor, list[Tensor]]:  # [B, M, D] and the cache for the tokens that follow
        """Encode the tokens after those of the cache; an empty cache means that there are none."""
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
        """Cache of no tokens."""
        b = xs.shape[0]
        none = xs.new_zeros([b, self.heads, 0, self.width // self.heads])
        cache = [xs.new_zeros([b, self.width, 2])]
        for _ in self.encoders:
            cache += [none, none]
        cache.append(xs.new_zeros([b, self.width, 2 * self.up]))
        for _ in self.up_encoders:
            cache += [none, none]
        return cache


def flow_of(networks: Networks) -> Flow:
    """Flow of CosyVoice 2."""
    assert isinstance(networks.flow, Flow)
    return networks.flow


def scripted(networks: Networks) -> nn.Module:
    """Encoder as TorchScript compiles it."""
    return ScriptedUpsampleConformer(flow_of(networks).encoder)


def cases(networks: Networks) -> Iterator[Case]:
    """Calls of the encoder: whole and chunked, followed or not, padded, and chunk after chunk."""
    encoder = flow_of(networks).encoder
    draw = torch.Generator().manual_seed(0)
    for number, length in enumerate(LENGTHS):
        for streaming in (False, True):
            lengths = torch.tensor([length] if number % 2 else [length, -(-length // 2)])
            yield _at_once(encoder, draw, lengths, streaming, followed=(number // 2) % 2 == 0)
    yield from _chunk_by_chunk(encoder, draw)


def _at_once(
    encoder: UpsampleConformer, draw: torch.Generator, lengths: Tensor, streaming: bool, *, followed: bool
) -> Case:
    c = encoder.config
    valid = valid_positions(lengths, int(lengths[0]))
    mask = attention_mask(valid, c.chunk_tokens if streaming else None)
    x = torch.randn(*valid.shape, c.width, generator=draw) * valid[..., None]
    context = torch.randn(len(lengths), c.lookahead_tokens, c.width, generator=draw) if followed else None
    y = encoder(x, mask, at_mel_rate(mask, c.up), context)
    asked = torch.zeros(0, 0, 0) if context is None else context
    frames = valid.repeat_interleave(c.up, dim=1)[:, None]
    return Case("forward", (x, lengths, asked, 0, -1, streaming), [y, frames])


def _chunk_by_chunk(encoder: UpsampleConformer, draw: torch.Generator) -> Iterator[Case]:
    c, cache, start = encoder.config, StreamCache(), 0
    x = torch.randn(1, sum(CHUNKS) + c.lookahead_tokens, c.width, generator=draw)
    for number, tokens in enumerate(CHUNKS):
        end = start + tokens
        mask = attention_mask(torch.ones(1, end, dtype=torch.bool), c.chunk_tokens, start)
        last = number == len(CHUNKS) - 1
        new, context = x[:, start:end], x[:, end : end if last else end + c.lookahead_tokens]
        before = [slot.clone() for slot in cache.slots()]
        y = encoder(new, mask, at_mel_rate(mask, c.up), None if last else context, cache.begin())
        after = [slot.clone() for slot in cache.slots()]
        yield Case("forward_chunk", (new, mask, context, before), [y, *after])
        start = end


def swap(networks: Networks, archive: Archive) -> Networks:
    """Networks whose flow encoder is run by the archive.

    Raises:
        ArchiveError: it takes other arguments.
    """
    flow = flow_of(networks)
    return replace(networks, flow=with_module(flow, "encoder", ArchivedEncoder(flow.encoder, archive)))


def trial(stages: Stages, device: torch.device) -> Tensor:
    """Encoding of two speech tokens."""
    pair = torch.tensor([[0, 1]], device=device)
    valid = torch.ones_like(pair).bool()
    return stages.encode(pair, valid, attention_mask(valid, None), None, None)


class ArchivedEncoder(nn.Module):
    """A module in the place of the up-sampling conformer that runs an archive.

    Ours resumes from a cache as the plain one does. Upstream's knows two masks and no cache: whatever it
    cannot do is left to the plain encoder.
    """

    def __init__(self, plain: UpsampleConformer, archive: Archive) -> None:
        super().__init__()
        self.plain, self.archive = plain, archive
        self.streams = archive.has("forward_chunk")
        if self.streams:
            return
        takes = archive.arguments("forward")
        if not {"context", "streaming"} <= set(takes):
            raise ArchiveError(
                f"{archive.path} is of an older upstream: it takes {', '.join(takes)}; {remedy(archive.path)}"
            )
        log.warning("%s has no stream cache: in streams the plain encoder works", archive.path)

    def forward(
        self,
        x: Tensor,  # [B, S, D]
        mask: Tensor,  # [B, S, past + S]
        mask_up: Tensor,  # [B, M, past + M]
        context: Tensor | None = None,  # [B, lookahead, D]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, M, D]
        half = x.to(self.archive.dtype)
        ahead = half[:, :0] if context is None else context.to(self.archive.dtype)
        y: Tensor
        if self.streams:
            y, after = self.archive.call("forward_chunk", half, mask, ahead, cache.slots() if cache else [])
            if cache is not None:
                cache.restore(after)
            return y.to(x.dtype)
        lengths = mask.any(dim=1).sum(dim=1)
        streaming = self.flag(mask, lengths)
        if cache is not None or streaming is None:
            y = self.plain(x, mask, mask_up, context, cache)
            return y
        y, _ = self.archive.call("forward", half, lengths, ahead, 0, -1, streaming)
        return y.to(x.dtype)

    def flag(
        self,
        mask: Tensor,  # [B, S, S]
        lengths: Tensor,  # [B]
    ) -> bool | None:
        """Upstream's flag for the mask: streaming or not; None if no flag says it."""
        valid = valid_positions(lengths, mask.shape[2])
        if torch.equal(mask, attention_mask(valid, None)):
            return False
        return True if torch.equal(mask, attention_mask(valid, self.plain.config.chunk_tokens)) else None
