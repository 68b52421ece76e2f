"""A model folder opens as data, strictly, and whatever is wrong with it is one line of ModelError."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.errors import ConfigError, ModelNotFound

GOLDEN = Path(__file__).parents[1] / "golden"


def make_folder(path: Path, family: str = "cosyvoice2", file: str = "") -> ModelFolder:
    path.mkdir(exist_ok=True)
    shutil.copy(GOLDEN / f"{family}-small.yaml", path / f"{file or family}.yaml")
    return ModelFolder.open(path)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return make_folder(tmp_path / "model")


@pytest.mark.parametrize("family", ["cosyvoice", "cosyvoice2", "cosyvoice3"])
def test_every_family_opens(family: str, tmp_path: Path) -> None:
    """The description tells the family and is there to be read."""
    folder = make_folder(tmp_path, family)

    assert folder.family == family
    assert folder.description["flow"].args["output_size"] == 80


def test_the_language_model_decides_the_family(tmp_path: Path) -> None:
    """Early CosyVoice 2 folders, whose description is called cosyvoice.yaml, are CosyVoice 2."""
    assert make_folder(tmp_path, "cosyvoice2", file="cosyvoice").family == "cosyvoice2"


def test_a_folder_without_its_description(tmp_path: Path) -> None:
    """No folder, a file, an empty folder: ModelNotFound says what was looked for."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file", "a\0b", "a" * 300, "a\nb"):
        with pytest.raises(ModelNotFound, match=r"^no model folder at .*$"):
            ModelFolder.open(path)
    with pytest.raises(
        ModelNotFound,
        match=r"has no description; one of cosyvoice\.yaml, cosyvoice2\.yaml,",
    ):
        ModelFolder.open(tmp_path / "empty")


def test_of_several_descriptions_the_one_that_is_asked_for(tmp_path: Path) -> None:
    """Two of one family are one model; of two families the caller says which, or is told to."""
    make_folder(tmp_path)
    shutil.copy(tmp_path / "cosyvoice2.yaml", tmp_path / "cosyvoice.yaml")
    assert ModelFolder.open(tmp_path).family == "cosyvoice2"
    shutil.copy(GOLDEN / "cosyvoice-small.yaml", tmp_path / "cosyvoice.yaml")

    assert [each.family for each in ModelFolder.described(tmp_path)] == ["cosyvoice", "cosyvoice2"]
    for family in ("cosyvoice", "cosyvoice2"):
        assert ModelFolder.open(tmp_path, family=family).family == family
    for family in ("", "cosyvoice3"):
        with pytest.raises(ModelNotFound, match="holds a description of cosyvoice and one of cosyvoice2"):
            ModelFolder.open(tmp_path, family=family)


def test_a_variant_of_the_language_model(folder: ModelFolder) -> None:
    """`llm.rl.pt` is taken where it is asked for; the other weights have no variants; another is told."""
    for name in ("llm.pt", "llm.rl.pt", "flow.pt", "llm.text_encoder.fp32.zip"):
        (folder.path / name).touch()
    chosen = ModelFolder.open(folder.path, variant="rl")

    assert [chosen.weights(part).name for part in ("llm", "flow")] == ["llm.rl.pt", "flow.pt"]
    assert folder.weights("llm").name == "llm.pt"
    with pytest.raises(
        ModelNotFound, match=r"has no weights 'sft' \(llm\.sft\.pt\); give rl, or leave it out"
    ):
        ModelFolder.open(folder.path, variant="sft")
    (folder.path / "llm.rl.pt").unlink()
    with pytest.raises(ModelNotFound, match=r"has no weights 'rl' .*; leave it out"):
        ModelFolder.open(folder.path, variant="rl")


@pytest.mark.parametrize("llm", ["llm: 3", "llm: !new:some.where.OtherLM", "flow: 1"])
def test_an_unknown_family_is_refused(llm: str, tmp_path: Path) -> None:
    """A description whose language model is not one we know is ConfigError that names the known ones."""
    (tmp_path / "cosyvoice2.yaml").write_text(llm)
    with pytest.raises(ConfigError, match="known are TransformerLM, Qwen2LM, CosyVoice3LM"):
        ModelFolder.open(tmp_path)


def test_missing_files_are_named(folder: ModelFolder) -> None:
    """A file, a part, the tokenizer's folder: each absence is ModelNotFound with its name."""
    (folder.path / "campplus.onnx").touch()

    assert folder.file("campplus.onnx") == folder.path / "campplus.onnx"
    for name, ask in {
        "speech_tokenizer_v2.onnx": lambda: folder.file("speech_tokenizer_v2.onnx"),
        "llm.pt": lambda: folder.tensors("llm"),
        "CosyVoice-BlankEN/config.json": folder.language_model,
        "CosyVoice-BlankEN": folder.tokenizer_folder,
    }.items():
        with pytest.raises(ModelNotFound, match=f"lacks the (file|folder) {name}"):
            ask()


def test_safetensors_are_preferred(folder: ModelFolder) -> None:
    """Where both files are there, the one that cannot hold code is read."""
    torch.save({"a": torch.zeros(1)}, folder.path / "flow.pt")
    write_tensors(folder.path / "flow.safetensors", {"a": torch.ones(2, 3).T.half()})

    assert folder.tensors("flow")["a"].equal(torch.ones(3, 2))


def test_the_language_model_is_json(folder: ModelFolder) -> None:
    """The Qwen2 configuration is read; anything but an object of sane size is ConfigError."""
    (folder.path / "CosyVoice-BlankEN").mkdir()
    config = folder.path / "CosyVoice-BlankEN" / "config.json"
    config.write_text(json.dumps({"hidden_size": 64}))

    assert folder.language_model() == {"hidden_size": 64}
    assert folder.tokenizer_folder() == config.parent
    for text in ("[1]", "{", "[" * 100_000, " " * 1_000_001, "\udc80"):
        config.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ConfigError, match=r"config\.json"):
            folder.language_model()
