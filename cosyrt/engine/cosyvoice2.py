"""A CosyVoice 2 folder → its settings, and its networks with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.decoding import DecodingConfig
from cosyrt.engine.family import ModelSettings, chunking_of, rates_of, settings_errors, weightless
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.qwen2_weights import load_weights
from cosyrt.engine.stages import Networks
from cosyrt.families import COSYVOICE2
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder, VocoderConfig


def build(folder: ModelFolder) -> tuple[ModelSettings, Networks]:
    """Read the settings of a folder and make its networks, weights loaded.

    Raises:
        ModelError: its description or its weights cannot be used.
    """
    settings = settings_of(folder)
    with settings_errors(COSYVOICE2):
        assert isinstance(settings.llm, LanguageModelConfig)
        assert isinstance(settings.flow, FlowConfig)
        with weightless():
            networks = Networks(
                llm=SpeechLanguageModel(settings.llm),
                flow=Flow(settings.flow),
                vocoder=Vocoder(settings.vocoder),
            )
    load_weights(networks, folder)
    return settings, networks


def settings_of(folder: ModelFolder) -> ModelSettings:
    """Read the settings of a folder; no weights are read.

    Raises:
        ModelError: its description cannot be used.
    """
    with settings_errors(COSYVOICE2):
        return read_settings(folder.description, folder.language_model())


def read_settings(description: Mapping[str, Any], backbone: Mapping[str, Any]) -> ModelSettings:
    """Read the description of a folder and the `config.json` of its language model."""
    llm, flow, hift = (description[part].args for part in ("llm", "flow", "hift"))
    flow_config, known = FlowConfig.from_description(flow), rates_of(description)
    return ModelSettings(
        llm=LanguageModelConfig.from_description(llm, backbone),
        flow=flow_config,
        vocoder=VocoderConfig.from_description(hift),
        decoding=DecodingConfig.from_description(llm),
        rates=known,
        mel_stream=partial(MelStream, rates=known),
        chunking=chunking_of(flow_config.encoder),
        pronunciation=description.get("pronunciation"),
    )
