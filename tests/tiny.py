"""A tiny model folder in the official CosyVoice 2 layout: real files, real networks, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import pre_tokenizers

from cosyrt.checkpoint.tables import write_tables
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.models.conformer import ConformerConfig
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.unet import UNetConfig
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.text.pronounce import vocabulary
from cosyrt.text.special_tokens import SPECIAL_TOKENS
from recipes.builtin_voice.export import (
    backbone_settings,
    describe,
    official_language_model_keys,
    text_tokenizer,
    with_weight_norm,
)
from tests.voice.onnx_models import write_campplus, write_speech_tokenizer

SPEECH_VOCABULARY = 4_000  # above any token that the ONNX speech tokenizer of the tests gives
LEAST, MOST = 2, 3  # speech tokens a text token: no utterance gets out of hand
LLM = LanguageModelConfig(
    width=32,
    feed_forward=48,
    layers=2,
    heads=4,
    kv_heads=2,
    text_vocabulary=len(vocabulary()),
    rope_theta=1e4,
    speech_vocabulary=SPEECH_VOCABULARY,
)
FLOW = FlowConfig(
    speech_vocabulary=SPEECH_VOCABULARY,
    encoder=ConformerConfig(width=32, heads=2, feed_forward=48, layers=1, up_layers=1),
    velocity=UNetConfig(channels=16, head_width=8, heads=2, blocks=1, middle=1),
)
VOCODER = VocoderConfig(channels=32, pitch_channels=16)
PRESETS = {"ann": "en", "mei": "zh"}


def language_model(seed: int = 0) -> SpeechLanguageModel:
    torch.manual_seed(seed)
    return SpeechLanguageModel(LLM).eval().requires_grad_(False)


def flow(seed: int = 0) -> Flow:
    torch.manual_seed(seed)
    return Flow(FLOW).eval().requires_grad_(False)


def vocoder(config: VocoderConfig = VOCODER, seed: int = 0) -> Vocoder:
    """A vocoder whose pitch follows the mel around 120 Hz, so that the source is voiced."""
    torch.manual_seed(seed)
    model = Vocoder(config).eval().requires_grad_(False)
    model.f0_predictor.classifier.weight.mul_(60)
    model.f0_predictor.classifier.bias.fill_(120)
    return model


def write_model(path: Path, seed: int = 0, *, spelling: bool = False) -> None:
    """Every file of a folder that `cosyrt.load` opens.

    With `spelling` its text tokens are letters and CosyVoice 2's tags, as far as those of the published model
    go, and not the units of a pronunciation.
    """
    (path / "CosyVoice-BlankEN").mkdir(parents=True)
    write_tensors(path / "llm.safetensors", official_language_model_keys(language_model(seed).state_dict()))
    write_tensors(path / "flow.safetensors", flow(seed).state_dict())
    write_tensors(path / "hift.safetensors", with_weight_norm(vocoder(seed=seed)))
    write_campplus(path / "campplus.onnx")
    write_speech_tokenizer(path / "speech_tokenizer_v2.onnx")
    write_presets(path, seed)
    description = describe(LLM, FLOW, VOCODER, least=LEAST, most=MOST)
    words = path / "CosyVoice-BlankEN"
    (words / "config.json").write_text(json.dumps(backbone_settings(LLM)))
    if spelling:
        description = description.replace("pronunciation: arpabet-pinyin\n", "")
        write_letters(words)
    else:
        (words / "tokenizer.json").write_text(json.dumps(text_tokenizer()))
    (path / "cosyvoice2.yaml").write_text(description)


def write_presets(path: Path, seed: int = 0) -> None:
    """The voices of the folder."""
    speakers = torch.randn(len(PRESETS), 1, 192, generator=torch.Generator().manual_seed(seed))
    write_tables(
        path / "spk2info.safetensors",
        {
            name: {"embedding": speaker, "language": language, "text": ""}
            for (name, language), speaker in zip(PRESETS.items(), speakers, strict=True)
        },
    )


def write_letters(path: Path) -> None:
    """The files of a Qwen2 tokenizer that knows bytes and nothing longer."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    assert len(letters) + len(SPECIAL_TOKENS) <= LLM.text_vocabulary
    (path / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    (path / "merges.txt").write_text("#version: 0.2\n")
