"""A folder of CosyVoice 2 or 3 with random weights that upstream and we load: published size, or small."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine import cosyvoice2, cosyvoice3
from cosyrt.engine.family import ModelSettings
from cosyrt.engine.qwen2_weights import BACKBONE, UNUSED_HEAD
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.flow import DiTFlow, DiTFlowConfig, Flow, FlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder
from recipes.builtin_voice.export import official_language_model_keys, with_weight_norm
from tests.tiny import write_letters

TEXT_VOCABULARY = 151_936  # CosyVoice 3 reads a mark that is near its end
EITHER_PUBLISHED = {
    "llm_input_size: 64": "llm_input_size: 896",
    "llm_output_size: 64": "llm_output_size: 896",
    "speech_token_size: 120": "speech_token_size: 6561",
    "vocab_size: 120": "vocab_size: 6561",
    "base_channels: 32": "base_channels: 512",
    "cond_channels: 32": "cond_channels: 512",
}
PUBLISHED_2 = EITHER_PUBLISHED | {
    "linear_units: 128": "linear_units: 2048",
    "num_blocks: 1": "num_blocks: 6",
    "channels: [32]": "channels: [256]",
    "attention_head_dim: 16": "attention_head_dim: 64",
    "n_blocks: 1": "n_blocks: 4",
    "num_mid_blocks: 2": "num_mid_blocks: 12",
    "num_heads: 2": "num_heads: 8",
}
PUBLISHED_3 = EITHER_PUBLISHED | {
    " channels: 64": " channels: 1024",
    " dim: 64": " dim: 1024",
    "depth: 2": "depth: 22",
    "heads: 4": "heads: 16",
    "dim_head: 16": "dim_head: 64",
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
    "vocab_size": TEXT_VOCABULARY,
}
NEVER = -100.0  # a logit
EITHER = {"rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "model_type": "qwen2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFamily:
    """What a family's random folder is made of."""

    small: str  # a description in `tests/golden`
    published: dict[str, str]  # what is replaced in it
    settings: Callable[[dict[str, Any], dict[str, Any]], ModelSettings]
    words: dict[str, Any]  # of the small language model

    def description(self, small: bool) -> str:
        """The model description of either size."""
        path = Path(__file__).parent.parent / "tests" / "golden" / self.small
        text = path.read_text(encoding="utf-8")
        for before, after in () if small else self.published.items():
            assert text.count(before) == 1, f"{before!r} is not once in {path}"
            text = text.replace(before, after)
        return text


FAMILIES = {
    2: RandomFamily(
        small="cosyvoice2-small.yaml",
        published=PUBLISHED_2,
        settings=cosyvoice2.read_settings,
        words=SMALL_WORDS,
    ),
    3: RandomFamily(
        small="cosyvoice3-small.yaml",
        published=PUBLISHED_3,
        settings=cosyvoice3.read_settings,
        words=SMALL_WORDS | {"vocab_size": TEXT_VOCABULARY},
    ),
}


def write(folder: Path, *, small: bool, family: int = 2) -> None:
    """Write description, weights and tokenizer; a text token is a byte, and voices have no encoder."""
    words, made = folder / "CosyVoice-BlankEN", FAMILIES[family]
    words.mkdir(parents=True)
    (words / "config.json").write_text(json.dumps((made.words if small else PUBLISHED_WORDS) | EITHER))
    write_letters(words)
    (folder / f"cosyvoice{family}.yaml").write_text(made.description(small))
    opened = ModelFolder.open(folder)
    config = made.settings(opened.description, opened.language_model())
    torch.manual_seed(0)
    for name, tensors in (("llm", _language_model), ("flow", _flow), ("hift", _vocoder)):
        torch.save(tensors(config), folder / f"{name}.pt")


def _flow(settings: ModelSettings) -> dict[str, Tensor]:
    config = settings.flow
    if isinstance(config, DiTFlowConfig):
        return DiTFlow(config).state_dict()
    assert isinstance(config, FlowConfig)
    return Flow(config).state_dict()


def _vocoder(settings: ModelSettings) -> dict[str, Tensor]:
    config = settings.vocoder
    return with_weight_norm(Vocoder(config) if config.lookahead_frames is None else CausalVocoder(config))


def _language_model(settings: ModelSettings) -> dict[str, Tensor]:
    """Make a language model; upstream's files have the text model's head, too.

    That of CosyVoice 2 never stops by itself; that of 3 has no bias to forbid it: who draws its tokens must.
    """
    config = settings.llm
    assert isinstance(config, LanguageModelConfig)
    model = SpeechLanguageModel(config)
    if model.llm_decoder.bias is not None:
        model.llm_decoder.bias.data[config.speech_vocabulary :] = NEVER
    tensors = official_language_model_keys(model.state_dict())
    return tensors | {UNUSED_HEAD: tensors[f"{BACKBONE}embed_tokens.weight"]}
