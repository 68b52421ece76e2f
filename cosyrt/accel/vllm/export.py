"""The language model as vLLM reads one: `config.json` and `model.safetensors`, in the user's cache folder.

Speech tokens stand in the place of words: `embed_tokens` is the table of speech tokens, `lm_head` the head of
speech. Prompts come as embeddings, so that text and marks need no table there. One row more than the head has
is for a choice that failed. Source of the layout: upstream's `export_cosyvoice2_vllm` (utils/file_utils.py).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from cosyrt.accel.artifacts import ArtifactFormat, artifact_path, kept
from cosyrt.accel.vllm.names import ARCHITECTURE, OURS
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.engine.model import Model
from cosyrt.errors import MissingDependency, UsageError
from cosyrt.families import FAMILIES
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel

NAME = "vllm"
LONGEST_POSITIONS = 32_768  # that Qwen2 was made for


def exported(model: Model) -> Path:
    """The folder of a model's language model for vLLM, written if it is not there yet.

    Raises:
        UsageError: a family whose language model is no Qwen2.
        MissingDependency: there is no cache folder that can be written.
    """
    llm = language_model(model)
    form: ArtifactFormat[SpeechLanguageModel, Path] = ArtifactFormat(
        write=partial(write, model), read=lambda path: artifact_path(model.folder, NAME), use=_nowhere
    )
    return kept(model.folder, NAME, lambda: llm, form)


def language_model(model: Model) -> SpeechLanguageModel:
    """The language model of CosyVoice 2 or 3.

    Raises:
        UsageError: that of another family, which vLLM cannot run.
    """
    llm = model.networks.llm
    if not isinstance(llm, SpeechLanguageModel):
        title = FAMILIES[model.folder.family].title
        raise UsageError(f"vLLM runs the language models of CosyVoice 2 and 3, not that of {title}")
    return llm


def _nowhere(llm: SpeechLanguageModel) -> Path:
    raise MissingDependency(
        "vLLM reads the language model from the cache folder, which cannot be written; "
        "make room in it, or set COSYRT_PLANS to a folder beside which files can be kept"
    )


def write(model: Model, llm: SpeechLanguageModel, folder: Path) -> None:
    """Write the two files of a language model into an empty folder."""
    write_tensors(folder / "model.safetensors", weights(llm))
    (folder / "config.json").write_text(
        json.dumps(description(model, llm.config), indent=1), encoding="utf-8"
    )


def weights(llm: SpeechLanguageModel) -> dict[str, Tensor]:
    """All weights that speech needs, by the names of Qwen2, with a row of zeros for a choice that failed."""
    found = {
        name.replace("backbone.", "model.", 1): weight
        for name, weight in llm.backbone.state_dict(prefix="backbone.").items()
        if "embed_tokens" not in name
    }
    found["model.embed_tokens.weight"] = F.pad(llm.speech_embedding.weight, (0, 0, 0, 1))
    found["lm_head.weight"] = F.pad(llm.llm_decoder.weight, (0, 0, 0, 1))
    if llm.llm_decoder.bias is not None:
        found["lm_head.bias"] = F.pad(llm.llm_decoder.bias, (0, 1))
    return {name: weight.detach().float().cpu().contiguous() for name, weight in found.items()}


def description(model: Model, config: LanguageModelConfig) -> dict[str, Any]:
    """The `config.json` of a language model: Qwen2's settings, and how tokens are picked."""
    decoding, head = model.settings.decoding, language_model(model).llm_decoder
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "hidden_size": config.width,
        "intermediate_size": config.feed_forward,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "max_position_embeddings": LONGEST_POSITIONS,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": head.out_features + 1,
        OURS: {
            "end_token": decoding.end_token,
            "head_bias": head.bias is not None,
            "sampling": asdict(decoding.sampling),
        },
    }
