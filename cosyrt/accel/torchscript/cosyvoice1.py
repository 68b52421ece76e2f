"""Encoders of CosyVoice 1 as archives: the calls they must answer rightly, and modules that run them.

Shapes: B batch · T positions of this call · K positions that are seen · D width · H heads · E head width ·
L layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from cosyrt.accel.torchscript.archive import Archive, remedy
from cosyrt.accel.torchscript.cases import LENGTHS, Case
from cosyrt.accel.torchscript.scripted_transformer import ScriptedConformer, ScriptedTransformer
from cosyrt.accel.torchscript.swap import with_module
from cosyrt.engine.stages import Networks, Stages
from cosyrt.errors import ArchiveError
from cosyrt.models.conformer import Conformer
from cosyrt.models.kv_cache import KeyValueCache, RelativeCache
from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.regulated_flow import RegulatedFlow
from cosyrt.models.transformer_lm import TransformerLM

log = logging.getLogger(__name__)

CAUSAL = 1  # the chunk of a position that hears itself and those before
CALLS = (23, 1, 1, 1)  # positions a call: what is read at once, then token by token


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
