"""Memory by precision: counted weights against the networks themselves, and the figures that follow."""

from __future__ import annotations

import pytest
from torch import nn

from cosyrt.accel.footprint import COSYVOICE_2, COSYVOICE_3, PUBLISHED, WEIGHT_PRECISIONS, Footprint, fit
from cosyrt.engine.family import weightless
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.conformer import ConformerConfig
from cosyrt.models.dit import DiTConfig
from cosyrt.models.flow import DiTFlow, DiTFlowConfig, Flow, FlowConfig, LookAheadConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.unet import UNetConfig
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.units import MIB

SPEECH = 6561


def qwen(*, shared_marks: bool) -> LanguageModelConfig:
    return LanguageModelConfig(
        width=896,
        feed_forward=4864,
        layers=24,
        heads=14,
        kv_heads=2,
        text_vocabulary=151_936,
        rope_theta=1e6,
        speech_vocabulary=SPEECH,
        shared_marks=shared_marks,
    )


def cosyvoice_2() -> tuple[nn.Module, nn.Module, nn.Module]:
    encoder = ConformerConfig(width=512, heads=8, feed_forward=2048, layers=6, up_layers=4)
    velocity = UNetConfig(channels=256, head_width=64, heads=8, blocks=4, middle=12)
    flow = Flow(FlowConfig(speech_vocabulary=SPEECH, encoder=encoder, velocity=velocity))
    vocoder = Vocoder(VocoderConfig(channels=512, pitch_channels=512))
    return SpeechLanguageModel(qwen(shared_marks=False)), flow, vocoder


def cosyvoice_3() -> tuple[nn.Module, nn.Module, nn.Module]:
    velocity = DiTConfig(width=1024, layers=22, heads=16, head_width=64, widening=2)
    encoder = LookAheadConfig(width=80, hidden=1024)
    flow = DiTFlow(DiTFlowConfig(speech_vocabulary=SPEECH, encoder=encoder, velocity=velocity))
    vocoder = CausalVocoder(VocoderConfig(channels=512, pitch_channels=512, lookahead_frames=4))
    return SpeechLanguageModel(qwen(shared_marks=True)), flow, vocoder


def count(module: nn.Module) -> int:
    return sum(tensor.numel() for tensor in module.parameters())


@pytest.mark.parametrize(("known", "made"), [(COSYVOICE_2, cosyvoice_2), (COSYVOICE_3, cosyvoice_3)])
def test_the_weights_of_the_published_models_are_counted(known: Footprint, made) -> None:
    """The constants are those of the networks at their published sizes."""
    with weightless():
        llm, flow, vocoder = made()
    words = count(llm.get_submodule("backbone.embed_tokens"))

    assert (known.words, known.language_model) == (words, count(llm) - words)
    assert (known.flow, known.vocoder) == (count(flow), count(vocoder))


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_half_is_half_and_autocast_is_more(model: Footprint) -> None:
    """Half weights save nearly half; autocast, which keeps float32 weights, takes more than float32."""
    whole, autocast, half, int8 = (model.weights_mb(name) for name in WEIGHT_PRECISIONS)

    assert whole / 2 < half < 0.55 * whole
    assert autocast > 1.3 * whole
    assert int8 == pytest.approx(whole - 3 * model.language_model / MIB)


def test_upstreams_fp16_does_not_fit_four_gigabytes() -> None:
    """What `fp16=True` takes exceeds a 4 GB card, float32 does not: the seeds' second cause."""
    card_mb = 4096 - 379

    assert COSYVOICE_2.gpu_mb("autocast") > card_mb
    assert COSYVOICE_2.gpu_mb("half") < COSYVOICE_2.gpu_mb("float32") < card_mb


def test_reading_the_weights_bounds_the_speed() -> None:
    """At 15 GB/s the language model cannot be faster than RTF 2.4 in float32, 0.6 in int8."""
    assert COSYVOICE_2.reading_rtf("float32", 15) == pytest.approx(2.46, rel=0.02)
    assert COSYVOICE_2.reading_rtf("int8", 15) == pytest.approx(0.62, rel=0.02)


def test_what_leaves_less_than_a_tenth_is_tight() -> None:
    """Another window on the screen, and a full card spills or fails."""
    assert [fit(needed, 1000) for needed in (900, 901, 1000, 1001)] == ["fits", "tight", "tight", "too large"]
    assert fit(1, None) == "unknown"
