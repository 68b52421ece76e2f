"""A CosyVoice 3 folder → its settings, its networks with their weights, and the noise of its vocoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.decoding import DecodingConfig
from cosyrt.engine.family import (
    ModelSettings,
    VocoderStreamMaker,
    chunking_of,
    rates_of,
    settings_errors,
    weightless,
)
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.qwen2_weights import load_weights
from cosyrt.engine.stages import Networks, Stages
from cosyrt.engine.vocoder_stream import CausalVocoderStream
from cosyrt.families import COSYVOICE3
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.flow import DiTFlow, DiTFlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.solver import NOISE_FRAMES, NOISE_SEED
from cosyrt.models.source import PITCH_LOOKAHEAD_FRAMES
from cosyrt.models.vocoder import VocoderConfig

FILL_TOKEN = 3  # after the speech tokens: start, end, task, fill
# Speech tokens that are silence or breath, as upstream's `cli/model.py` lists them for this tokenizer.
SILENT_TOKENS = frozenset((1, 2, 28, 29, 55, 248, 494, 2241, 2242, 2322, 2323))


def build(folder: ModelFolder) -> tuple[ModelSettings, Networks]:
    """Read the settings of a folder and make its networks, weights loaded.

    Raises:
        ModelError: its description or its weights cannot be used.
    """
    settings = settings_of(folder)
    with settings_errors(COSYVOICE3):
        assert isinstance(settings.llm, LanguageModelConfig)
        assert isinstance(settings.flow, DiTFlowConfig)
        with weightless():
            networks = Networks(
                llm=SpeechLanguageModel(settings.llm),
                flow=DiTFlow(settings.flow),
                vocoder=CausalVocoder(settings.vocoder),
            )
    load_weights(networks, folder)
    networks.vocoder.f0_predictor.double()  # the source adds up its errors
    return settings, networks


def settings_of(folder: ModelFolder) -> ModelSettings:
    """Read the settings of a folder; no weights are read.

    Raises:
        ModelError: its description cannot be used.
    """
    with settings_errors(COSYVOICE3):
        return read_settings(folder.description, folder.language_model())


def read_settings(description: Mapping[str, Any], backbone: Mapping[str, Any]) -> ModelSettings:
    """Read the description of a folder and the `config.json` of its language model."""
    llm, flow, hift = (description[part].args for part in ("llm", "flow", "hift"))
    vocoder, flow_config = VocoderConfig.from_description(hift), DiTFlowConfig.from_description(flow)
    if vocoder.lookahead_frames is None:
        raise KeyError("conv_pre_look_right")
    known = rates_of(description)
    return ModelSettings(
        llm=LanguageModelConfig.from_description(llm, backbone, shared_marks=True),
        flow=flow_config,
        vocoder=vocoder,
        decoding=decoding(llm),
        rates=known,
        mel_stream=partial(MelStream, rates=known),
        chunking=chunking_of(flow_config.encoder),
        vocoder_stream=vocoder_stream(flow_config),
    )


def decoding(llm: Mapping[str, Any]) -> DecodingConfig:
    """Settings of decoding: its own token asks for more text, and long silence is left out."""
    config = DecodingConfig.from_description(llm)
    return replace(config, fill_token=config.end_token + FILL_TOKEN, silent_tokens=SILENT_TOKENS)


def vocoder_stream(flow: DiTFlowConfig) -> VocoderStreamMaker:
    """Make vocoder streams whose noise follows from the position alone, as upstream's, whatever the seed."""

    def stream(
        stages: Stages, config: VocoderConfig, generator: torch.Generator | None
    ) -> CausalVocoderStream:
        fixed = None if generator is None else torch.Generator().set_state(noise_state(flow, config))
        return CausalVocoderStream(stages, config, fixed)

    return stream


@lru_cache(maxsize=4)
def noise_state(flow: DiTFlowConfig, vocoder: VocoderConfig) -> Tensor:
    """The random numbers just before upstream's noise of the source.

    Upstream draws five minutes of it when the vocoder is made and saves it nowhere: its noise
    follows from all that was drawn since the flow's own noise was seeded. Only the order of the draws counts.
    """
    c = vocoder
    predictor = [(c.pitch_channels, c.mel_bins, PITCH_LOOKAHEAD_FRAMES + 1), (c.pitch_channels,)]
    predictor += 4 * [(c.pitch_channels, c.pitch_channels, 3), (c.pitch_channels,)]
    predictor += [(1, c.pitch_channels), (1,)]
    generator = torch.Generator().manual_seed(NOISE_SEED)
    torch.randn(1, flow.mel_bins, NOISE_FRAMES, generator=generator)
    torch.randn(flow.speech_vocabulary, flow.encoder.width, generator=generator)
    for shape in ((flow.mel_bins, flow.speaker_width), (flow.mel_bins,), *predictor, (c.harmonics,)):
        torch.rand(prod(shape), generator=generator)
    return generator.get_state()
