"""A CosyVoice 1 folder → its settings, its networks with their weights, and how its vocoder begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into
from cosyrt.engine.chunks import WindowChunking
from cosyrt.engine.decoding import DecodingConfig
from cosyrt.engine.family import ModelSettings, settings_errors, weightless
from cosyrt.engine.stages import Networks
from cosyrt.engine.vocoder_stream import OverlappingVocoderStream
from cosyrt.engine.window_stream import WindowStream
from cosyrt.families import COSYVOICE1
from cosyrt.models.regulated_flow import RegulatedFlow, RegulatedFlowConfig
from cosyrt.models.source import Phase, SampledSource
from cosyrt.models.transformer_lm import TransformerLM, TransformerLMConfig
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.ranges import RATE
from cosyrt.units import Rates

LOOP_S = 4  # speech that repeats itself for so long is cut


def build(folder: ModelFolder) -> tuple[ModelSettings, Networks]:
    """Read the settings of a folder and make its networks, weights loaded.

    Raises:
        ModelError: its description or its weights cannot be used.
    """
    settings = settings_of(folder)
    with settings_errors(COSYVOICE1):
        assert isinstance(settings.llm, TransformerLMConfig)
        assert isinstance(settings.flow, RegulatedFlowConfig)
        with weightless():
            networks = Networks(
                llm=TransformerLM(settings.llm),
                flow=RegulatedFlow(settings.flow),
                vocoder=Vocoder(settings.vocoder, SampledSource),
            )
    load_into(networks.llm, folder.tensors("llm"), file=folder.weights("llm"))
    load_into(networks.flow, folder.tensors("flow"), file=folder.weights("flow"))
    load_into(networks.vocoder, folder.tensors("hift"), file=folder.weights("hift"))
    return settings, networks


def settings_of(folder: ModelFolder) -> ModelSettings:
    """Read the settings of a folder; no weights are read.

    Raises:
        ModelError: its description cannot be used.
    """
    with settings_errors(COSYVOICE1):
        return read_settings(folder.description)


def read_settings(description: Mapping[str, Any]) -> ModelSettings:
    """Read the description of a folder."""
    llm, flow, hift = (description[part].args for part in ("llm", "flow", "hift"))
    vocoder = VocoderConfig.from_description(hift)
    rates = fractional_rates(description, vocoder)
    chunking = WindowChunking.at(rates.token_hz)
    return ModelSettings(
        llm=TransformerLMConfig.from_description(llm),
        flow=RegulatedFlowConfig.from_description(flow),
        vocoder=vocoder,
        decoding=decoding(llm, rates),
        rates=rates,
        chunking=chunking,
        mel_stream=partial(WindowStream, rates=rates, chunking=chunking),
        vocoder_stream=RandomPhaseVocoderStream,
    )


def fractional_rates(description: Mapping[str, Any], vocoder: VocoderConfig) -> Rates:
    """Rates of a model whose token is no whole number of mel frames."""
    sample_hz = RATE.of(description, "sample_rate")
    token_hz = RATE.of(description["flow"].args, "input_frame_rate")
    frames = Fraction(sample_hz, token_hz * vocoder.samples_per_frame)
    return Rates(sample_hz=sample_hz, token_hz=token_hz, frames_per_token=frames)


def decoding(llm: Mapping[str, Any], rates: Rates) -> DecodingConfig:
    """Settings of decoding: the model never asks for more text, and it is given the speaker vector."""
    return replace(
        DecodingConfig.from_description(llm),
        fill_token=None,
        repetition_window=LOOP_S * rates.token_hz,
        reads_speaker=True,
        takes_parts=False,
    )


class RandomPhaseVocoderStream(OverlappingVocoderStream):
    """Stream whose overtones start at random phases of the utterance; the fundamental starts at zero."""

    def extend_source(self, pitched: int, last: bool) -> None:
        """Excite the frames whose pitch is certain."""
        if self.phase is None and self.generator is not None:
            self.phase = Phase(self.random_phases(self.generator))
        super().extend_source(pitched, last)

    def random_phases(self, generator: torch.Generator) -> Tensor:  # [1, H]
        """A phase for each harmonic, in cycles."""
        assert self.mel is not None
        cycles = torch.rand(1, self.config.harmonics, generator=generator, dtype=torch.float64)
        cycles[:, 0] = 0
        return cycles.to(self.mel.device)
