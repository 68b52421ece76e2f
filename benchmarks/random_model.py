"""A CosyVoice 2 folder with random weights that both upstream and we load: published size, or small."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine import cosyvoice2
from cosyrt.engine.qwen2_weights import BACKBONE, UNUSED_HEAD
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder
from recipes.builtin_voice.export import official_language_model_keys, with_weight_norm
from tests.tiny import write_letters

SMALL = Path(__file__).parent.parent / "tests" / "golden" / "cosyvoice2-small.yaml"
PUBLISHED = {
    "llm_input_size: 64": "llm_input_size: 896",
    "llm_output_size: 64": "llm_output_size: 896",
    "speech_token_size: 120": "speech_token_size: 6561",
    "vocab_size: 120": "vocab_size: 6561",
    "linear_units: 128": "linear_units: 2048",
    "num_blocks: 1": "num_blocks: 6",
    "channels: [32]": "channels: [256]",
    "attention_head_dim: 16": "attention_head_dim: 64",
    "n_blocks: 1": "n_blocks: 4",
    "num_mid_blocks: 2": "num_mid_blocks: 12",
    "num_heads: 2": "num_heads: 8",
    "base_channels: 32": "base_channels: 512",
    "cond_channels: 32": "cond_channels: 512",
}
SMALL_WORDS = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1_000,
}
PUBLISHED_WORDS = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
}
NEVER = -100.0  # a logit
EITHER = {"rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "model_type": "qwen2"}


def write(folder: Path, *, small: bool) -> None:
    """Write description, weights and tokenizer; a text token is a byte, and voices have no encoder."""
    words = folder / "CosyVoice-BlankEN"
    words.mkdir(parents=True)
    (words / "config.json").write_text(json.dumps((SMALL_WORDS if small else PUBLISHED_WORDS) | EITHER))
    write_letters(words)
    (folder / "cosyvoice2.yaml").write_text(_description(small))
    opened = ModelFolder.open(folder)
    config = cosyvoice2.read_settings(opened.description, opened.language_model())
    llm, flow = config.llm, config.flow
    assert isinstance(llm, LanguageModelConfig) and isinstance(flow, FlowConfig)
    torch.manual_seed(0)
    for name, tensors in {
        "llm": lambda: _language_model(llm),
        "flow": lambda: Flow(flow).state_dict(),
        "hift": lambda: with_weight_norm(Vocoder(config.vocoder)),
    }.items():
        torch.save(tensors(), folder / f"{name}.pt")


def _language_model(config: LanguageModelConfig) -> dict[str, torch.Tensor]:
    """Make a language model that never stops by itself; upstream's files have the text model's head, too."""
    model = SpeechLanguageModel(config)
    model.llm_decoder.bias.data[config.speech_vocabulary :] = NEVER
    tensors = official_language_model_keys(model.state_dict())
    return tensors | {UNUSED_HEAD: tensors[f"{BACKBONE}embed_tokens.weight"]}


def _description(small: bool) -> str:
    text = SMALL.read_text(encoding="utf-8")
    for before, after in () if small else PUBLISHED.items():
        assert text.count(before) == 1, f"{before!r} is not once in {SMALL}"
        text = text.replace(before, after)
    return text
