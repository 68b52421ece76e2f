"""Stages around a compiled graph: whatever compiles modules that take and give tensors can run these parts.

Shapes: B batch · T positions of a call · K = past + T positions to look at · M mel frames · V speech
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.accel.backend.graphs import LanguageGraph, VelocityGraph, VocoderGraph, keep
from cosyrt.accel.backend.growing_cache import GrowingCache, split_mask
from cosyrt.accel.contract import Part
from cosyrt.engine.language_stages import language_stages
from cosyrt.engine.stages import Networks, Stages, Vocode
from cosyrt.families import Family
from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.llm import SpeechLanguageModel
from cosyrt.models.stream_cache import PackedCache, StreamCache
from cosyrt.models.velocity import FlowInputs, one_by_one
from cosyrt.models.vocoder import Vocoder

# Prime, so that no size of a model is taken for one of these: whoever must know which sizes are free asks.
EXAMPLE_FRAMES, EXAMPLE_PAST, EXAMPLE_POSITIONS = 13, 17, 3

UNSEEN = 2  # frames that stand for no past: to compilers sizes of 0 and 1 are constants, not sizes

Graph = Callable[..., Sequence[Tensor]]
# (module, an example of its arguments, of which every size but the model's own is free) → the same, faster
Compile = Callable[[nn.Module, tuple[Tensor, ...]], Graph]


def compiled_stages(
    part: Part, networks: Networks, stages: Stages, compile: Compile, *, graphs: Literal[1, 2] = 2
) -> Stages:
    """Replace the stages of one part by a graph that `compile` makes.

    The velocity has two `graphs` unless that takes too long to compile: one resumes from a stream cache, the
    other, for a mel in one piece, has none to bring back.

    The part must be one that `refusal` has nothing against.
    """
    with torch.no_grad():
        if part == "llm":
            return _language(networks, stages, compile)
        if part == "velocity":
            velocity = _Velocity(networks, compile, graphs)
            return stages.replacing(velocity=velocity)
        assert part == "vocode", part
        return stages.replacing(vocode=_vocode(networks, compile))


def refusal(part: Part, family: Family) -> str:
    """Why there is no graph of a part of a family; empty if there is one."""
    if part == "llm" and family.language_model != "qwen2":
        return f"there is no graph of the language model of {family.title}"
    if part == "vocode" and family.vocoder != "hift":
        return f"there is no graph of the causal vocoder of {family.title}"
    return f"there is no graph of the part {part}" if part == "encode" else ""


def _language(networks: Networks, stages: Stages, compile: Compile) -> Stages:
    llm = networks.llm
    assert isinstance(llm, SpeechLanguageModel)  # `refusal` sees to it
    graph = compile(LanguageGraph(llm), _language_example(llm))

    def new_cache(rows: int, positions: int) -> GrowingCache:
        return GrowingCache.of(llm.empty_cache(rows, positions))

    def forward(
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, V]
        assert isinstance(cache, GrowingCache)
        end = mask.shape[3]
        past = cache.past(end - x.shape[1])
        logp, *new = graph(x, positions, *split_mask(mask, positions, past[0].shape[2]), *past)
        cache.write(positions, end, (new[0], new[1]))
        return logp

    made = language_stages(llm, forward)._asdict() | {"new_cache": new_cache}
    return stages.replacing(**{name: torch.inference_mode()(stage) for name, stage in made.items()})


def _language_example(llm: SpeechLanguageModel) -> tuple[Tensor, ...]:
    """Flat arguments of a call, of any sizes."""
    past, new = EXAMPLE_PAST, EXAMPLE_POSITIONS
    where = llm.llm_decoder.weight.device
    sides = [layer for side in llm.empty_cache(1, past).tensors() for layer in side.unbind()]
    x, positions = torch.zeros(1, new, llm.config.width, device=where), torch.arange(new, device=where)[None]
    mask = torch.ones(1, 1, new, past + new, dtype=torch.bool, device=where)
    return (x, positions, mask[..., :past], mask[..., past:], *sides)


class _Velocity:
    """Velocity by a graph that resumes from a cache, and by one without a cache where that is worth it."""

    def __init__(self, networks: Networks, compile: Compile, graphs: Literal[1, 2]) -> None:
        config, net = networks.flow.config, networks.flow.velocity
        where = networks.flow.spk_embed_affine_layer.weight.device
        mel = torch.zeros(config.branches, config.mel_bins, EXAMPLE_FRAMES, device=where)
        self.module = VelocityGraph(net)
        self.empty, self.kinds = self.module.empty(*mel.shape[:2])
        self.looks_back = "keys or values" in self.kinds
        past = EXAMPLE_PAST if self.looks_back else 0
        self.resuming = compile(self.module, (*self.example(mel, past), *self.blank(past)))
        self.whole: Graph | None = None
        if graphs == 2 and self.module.has_cache:
            self.whole = compile(VelocityGraph(net, whole=True), self.example(mel, 0))

    def example(
        self,
        mel: Tensor,  # [B, 80, M]
        past: int,
    ) -> tuple[Tensor, ...]:
        """Flat arguments of a call after that many frames, without the cache."""
        mask = mel.new_ones(len(mel), EXAMPLE_FRAMES, past + EXAMPLE_FRAMES, dtype=torch.bool)
        time, speaker = self.module.timed(torch.zeros(len(mel))), mel[:, :, 0]
        inputs = FlowInputs(mel, mel[:, :1] + 1, mask, mel + 1, time, speaker, mel + 2)
        return (*inputs, *self.module.positions(past, past + EXAMPLE_FRAMES))

    def blank(self, past: int) -> list[Tensor]:
        """Cache slots of zeros for that many frames."""
        return [
            slot.new_zeros(*slot.shape[:2], past, slot.shape[3]) if kind == "keys or values" else slot
            for slot, kind in zip(self.empty, self.kinds, strict=True)
        ]

    @torch.inference_mode()
    def __call__(self, inputs: FlowInputs, cache: StreamCache | None) -> Tensor:  # [B, 80, M]
        if isinstance(cache, PackedCache):
            return one_by_one(self, inputs, cache)
        positions = self.module.positions(inputs.past, inputs.past + inputs.frames)
        inputs = inputs._replace(t=self.module.timed(inputs.t))
        slots = [] if cache is None else cache.slots()
        if self.whole is not None and not slots and (cache is None or not cache.keeps):
            return self.whole(*inputs, *positions)[0]
        if not slots and self.looks_back:
            inputs, slots = inputs._replace(mask=F.pad(inputs.mask, (UNSEEN, 0))), self.blank(UNSEEN)
        out, *new = self.resuming(*inputs, *positions, *slots)
        keep(cache, self.kinds, new)
        return out


def _vocode(networks: Networks, compile: Compile) -> Vocode:
    vocoder = networks.vocoder
    assert isinstance(vocoder, Vocoder)  # `refusal` sees to it
    c = vocoder.config
    where = vocoder.conv_post.weight.device
    excitation = torch.zeros(1, EXAMPLE_FRAMES * c.samples_per_frame, device=where)
    mel = torch.zeros(1, c.mel_bins, EXAMPLE_FRAMES, device=where)
    graph = compile(VocoderGraph(vocoder), (mel, vocoder.spectrum(excitation)))

    @torch.inference_mode()
    def vocode(
        mel: Tensor,  # [B, 80, M]
        excitation: Tensor,  # [B, 1, N]
        lookahead: Tensor | None,  # none, this vocoder looks both ways
        cache: StreamCache | None,  # none, for the same reason
    ) -> Tensor:  # [B, N]
        (spectrum,) = graph(mel, vocoder.spectrum(excitation.squeeze(1)))
        return vocoder.waveform(spectrum)

    return vocode
