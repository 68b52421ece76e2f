"""A CosyVoice 2 folder → its networks with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into
from cosyrt.engine.chunks import ChunkPlan
from cosyrt.engine.decoding import SpeakingConfig
from cosyrt.engine.family import Description, settings_errors, weightless
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.stages import Models
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


def build(folder: ModelFolder) -> tuple[Description, Models]:
    """The description and the networks of a folder, weights loaded.

    Raises:
        ModelError: its description or its weights cannot be used.
    """
    with settings_errors("CosyVoice 2"):
        description = describe(folder.description, folder.language_model())
        assert isinstance(description.llm, LanguageModelConfig)
        assert isinstance(description.flow, FlowConfig)
        with weightless():
            models = Models(
                llm=SpeechLanguageModel(description.llm),
                flow=Flow(description.flow),
                vocoder=Vocoder(description.vocoder),
            )
    load_weights(models, folder)
    return description, models


def describe(settings: Mapping[str, Any], backbone: Mapping[str, Any]) -> Description:
    """From the description of a folder and the `config.json` of its language model."""
    llm, flow, hift = (settings[part].args for part in ("llm", "flow", "hift"))
    flow_config, known = FlowConfig.from_description(flow), rates(settings)
    return Description(
        llm=LanguageModelConfig.from_description(llm, backbone),
        flow=flow_config,
        vocoder=VocoderConfig.from_description(hift),
        speaking=SpeakingConfig.from_description(llm),
        rates=known,
        mels=partial(MelStream, rates=known),
        plan=chunks(flow_config.encoder),
        pronunciation=settings.get("pronunciation"),
    )


def rates(settings: Mapping[str, Any]) -> Rates:
    """The rates of a model whose mel frames are a whole number a token."""
    flow = settings["flow"].args
    return Rates(
        sample_hz=RATE.of(settings, "sample_rate"),
        token_hz=RATE.of(flow, "input_frame_rate"),
        frames_per_token=RATIO.of(flow, "token_mel_ratio"),
    )


def chunks(encoder: ConformerConfig | LookAheadConfig) -> ChunkPlan:
    """Where a stream may be cut: on the edges that the flow was trained with."""
    return ChunkPlan(chunk_tokens=encoder.chunk_tokens, lookahead_tokens=encoder.lookahead_tokens)


def load_weights(models: Models, folder: ModelFolder) -> None:
    """Each network its file of the folder.

    Raises:
        ModelError: a file is missing, or does not belong to the description.
    """
    load_into(models.llm, untied(folder.tensors("llm")), file=folder.path / "llm", rename=language_model_name)
    load_into(models.flow, folder.tensors("flow"), file=folder.path / "flow")
    load_into(models.vocoder, folder.tensors("hift"), file=folder.path / "hift")


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
