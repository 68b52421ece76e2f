"""A model id finds what ModelScope and Hugging Face keep of it; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.compat import AutoModel
from cosyrt.compat.local import local_folder
from cosyrt.errors import ModelNotFound, UsageError

ID = "iic/CosyVoice2-0.5B"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without caches."""
    for variable in ("MODELSCOPE_CACHE", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("", ".cache/modelscope/hub/iic/CosyVoice2-0___5B"),
        ("", ".cache/modelscope/hub/models/iic/CosyVoice2-0___5B"),
        ("", ".cache/modelscope/models/iic/CosyVoice2-0.5B"),
        ("MODELSCOPE_CACHE", "iic/CosyVoice2-0___5B"),
        ("MODELSCOPE_CACHE", "hub/iic/CosyVoice2-0.5B"),
        ("", ".cache/huggingface/hub/models--iic--CosyVoice2-0.5B/snapshots/abc"),
        ("HF_HOME", "hub/models--iic--CosyVoice2-0.5B/snapshots/abc"),
        ("HF_HUB_CACHE", "models--iic--CosyVoice2-0.5B/snapshots/abc"),
    ],
)
def test_a_model_id_is_found(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, place: str) -> None:
    """In the places that both have used, and where their variables point."""
    root = home / "elsewhere" if variable else home
    if variable:
        monkeypatch.setenv(variable, str(root))
    (root / place).mkdir(parents=True)

    assert local_folder(ID) == root / place


def test_the_snapshot_that_main_is(home: Path) -> None:
    """The snapshot that `main` names is the model, of several."""
    cached = home / ".cache/huggingface/hub/models--iic--CosyVoice2-0.5B"
    for name in ("one", "two", "three"):
        (cached / "snapshots" / name).mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("two\n")

    assert local_folder(ID).name == "two"


def test_a_folder_comes_first(home: Path, spelling_folder: Path) -> None:
    """What is there by that path is not looked for; upstream's classes open either."""
    (home / ".cache/modelscope/hub/iic").mkdir(parents=True)
    (home / ".cache/modelscope/hub/iic/CosyVoice2-0___5B").symlink_to(spelling_folder)
    assert AutoModel(model_dir=ID).sample_rate == 24_000
    (home / ID).mkdir(parents=True)
    assert local_folder(ID) == Path(ID)


def test_what_is_nowhere_is_told(home: Path) -> None:
    """One line that says where was looked and what to do."""
    with pytest.raises(ModelNotFound, match=f"no model folder at {ID}, nor in the caches of ModelScope and"):
        AutoModel(model_dir=ID)
    with pytest.raises(ModelNotFound, match="no model folder at pretrained_models/a/b"):
        AutoModel(model_dir="pretrained_models/a/b")
    with pytest.raises(UsageError, match="model_dir is a path"):
        AutoModel(model_dir=None)
