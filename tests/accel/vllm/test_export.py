"""The files that vLLM reads: the language model without its words, in the cache folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cosyrt.accel.vllm.export import exported
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import MissingDependency, UsageError


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    return tmp_path


@pytest.mark.parametrize("version", [2, 3])
def test_weights_go_to_the_cache_folder(cache: Path, tiny: Pipeline, tiny3: Pipeline, version: int) -> None:
    """Qwen2's names, our head and our table with one row more, and nothing in the model folder."""
    model = (tiny if version == 2 else tiny3).model
    before = sorted(os.listdir(model.folder.path))
    folder = exported(model)
    config = json.loads((folder / "config.json").read_text())
    weights, llm = load_file(folder / "model.safetensors"), model.networks.llm

    assert folder.is_relative_to(cache) and sorted(os.listdir(model.folder.path)) == before
    assert exported(model) == folder
    rows = config["vocab_size"]
    assert torch.equal(weights["model.embed_tokens.weight"][:-1], llm.speech_embedding.weight)
    assert torch.equal(weights["lm_head.weight"][:-1], llm.llm_decoder.weight)
    assert len(weights["lm_head.weight"]) == rows and not weights["lm_head.weight"][-1].any()
    assert ("lm_head.bias" in weights) == config["cosyrt"]["head_bias"] == (version == 2)
    layer = "layers.1.self_attn.q_proj.weight"
    assert torch.equal(weights[f"model.{layer}"], llm.backbone.state_dict()[layer])
    assert config["cosyrt"]["end_token"] == model.settings.decoding.end_token


def test_another_family_is_refused(cache: Path, tiny1: Pipeline) -> None:
    """The language model of CosyVoice 1 is no Qwen2."""
    with pytest.raises(UsageError, match="vLLM runs the language models of CosyVoice 2 and 3, not that of"):
        exported(tiny1.model)


def test_without_a_cache_folder_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny: Pipeline
) -> None:
    """Files are what vLLM reads: where none can be written there is no way around."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "file" / "plans"))
    with pytest.raises(MissingDependency, match="cache folder, which cannot be written"):
        exported(tiny.model)
