"""A CosyVoice 2 folder → its networks with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into
from cosyrt.engine.chunks import ChunkPlan
from cosyrt.engine.decoding import SpeakingConfig
from cosyrt.engine.family import ModelSettings, settings_errors, weightless
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.stages import Networks
from cosyrt.models.conformer import ConformerConfig
from cosyrt.models.flow import Flow, FlowConfig, LookAheadConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.ranges import RATE, RATIO
from cosyrt.units import Rates

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "llm.model.model."
UNUSED_HEAD = "llm.model.lm_head.weight"


def build(folder: ModelFolder) -> tuple[ModelSettings, Networks]:
    """Read the settings of a folder and make its networks, weights loaded.

    Raises:
        ModelError: its description or its weights cannot be used.
    """
    with settings_errors("CosyVoice 2"):
        settings = read_settings(folder.description, folder.language_model())
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


def read_settings(description: Mapping[str, Any], backbone: Mapping[str, Any]) -> ModelSettings:
    """Read the description of a folder and the `config.json` of its language model."""
    llm, flow, hift = (description[part].args for part in ("llm", "flow", "hift"))
    flow_config, known = FlowConfig.from_description(flow), rates(description)
    return ModelSettings(
        llm=LanguageModelConfig.from_description(llm, backbone),
        flow=flow_config,
        vocoder=VocoderConfig.from_description(hift),
        speaking=SpeakingConfig.from_description(llm),
        rates=known,
        mel_stream=partial(MelStream, rates=known),
        chunking=chunks(flow_config.encoder),
        pronunciation=description.get("pronunciation"),
    )


def rates(description: Mapping[str, Any]) -> Rates:
    """The rates of a model whose mel frames are a whole number a token."""
    flow = description["flow"].args
    return Rates(
        sample_hz=RATE.of(description, "sample_rate"),
        token_hz=RATE.of(flow, "input_frame_rate"),
        frames_per_token=RATIO.of(flow, "token_mel_ratio"),
    )


def chunks(encoder: ConformerConfig | LookAheadConfig) -> ChunkPlan:
    """Where a stream may be cut: on the edges that the flow was trained with."""
    return ChunkPlan(chunk_tokens=encoder.chunk_tokens, lookahead_tokens=encoder.lookahead_tokens)


def load_weights(networks: Networks, folder: ModelFolder) -> None:
    """Each network its file of the folder.

    Raises:
        ModelError: a file is missing, or does not belong to the description.
    """
    load_into(
        networks.llm, untied(folder.tensors("llm")), file=folder.path / "llm", rename=language_model_name
    )
    load_into(networks.flow, folder.tensors("flow"), file=folder.path / "flow")
    load_into(networks.vocoder, folder.tensors("hift"), file=folder.path / "hift")


def untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Upstream ties the text head to the embedding and loads it last: where the two differ, it counts."""
    if UNUSED_HEAD not in tensors:
        return tensors
    return tensors | {f"{BACKBONE}embed_tokens.weight": tensors[UNUSED_HEAD]}


def language_model_name(key: str) -> str | None:
    """Our name for a key of `llm.pt`; None for the text head, which speech does without."""
    if key == UNUSED_HEAD:
        return None
    return key.replace(BACKBONE, "backbone.", 1) if key.startswith(BACKBONE) else key
