"""Weights of Qwen2: upstream's names, and a head and an embedding that are one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.engine.model import build
from cosyrt.engine.qwen2_weights import BACKBONE, UNUSED_HEAD, language_model_name
from cosyrt.errors import ModelError, WeightsError
from tests import tiny

EMBEDDING = f"{BACKBONE}embed_tokens.weight"
VOCABULARY = tiny.LLM.text_vocabulary


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def language_model_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(ModelFolder.open(folder).tensors("llm"))


@pytest.mark.parametrize("keep", ["both", "head only", "embedding only"])
def test_the_text_head_and_the_embedding_are_one(folder: Path, keep: str) -> None:
    """Upstream ties the two: either may be missing, and where they differ the head counts."""
    tensors = language_model_tensors(folder)
    embedding = tensors.pop(EMBEDDING)
    head = embedding + (1 if keep == "both" else 0)
    if keep != "head only":
        tensors[EMBEDDING] = embedding
    if keep != "embedding only":
        tensors[UNUSED_HEAD] = head
    write_tensors(folder / "llm.safetensors", tensors)
    _, networks = build(ModelFolder.open(folder))

    assert torch.equal(networks.llm.backbone.embed_tokens.weight, head)


def test_neither_head_nor_embedding(folder: Path) -> None:
    """Without both the text cannot be read: a WeightsError that names the tensor."""
    tensors = language_model_tensors(folder)
    del tensors[EMBEDDING]
    write_tensors(folder / "llm.safetensors", tensors)

    with pytest.raises(WeightsError, match=rf"'llm.model.model.embed_tokens.weight' \[{VOCABULARY}, 32\]"):
        build(ModelFolder.open(folder))


@pytest.mark.parametrize("part", ["llm", "flow", "hift"])
def test_a_missing_file(folder: Path, part: str) -> None:
    """Each part must be there; the error names its file."""
    (folder / f"{part}.safetensors").unlink()

    with pytest.raises(ModelError, match=f"{part}.pt"):
        build(ModelFolder.open(folder))


def test_names_of_the_language_model() -> None:
    """Only the backbone's prefix changes, and the head has no name of ours."""
    assert (
        language_model_name(f"{BACKBONE}layers.0.mlp.up_proj.weight")
        == "backbone.layers.0.mlp.up_proj.weight"
    )
    assert language_model_name("llm_decoder.bias") == "llm_decoder.bias"
    assert language_model_name(UNUSED_HEAD) is None
