"""Fingerprints: of every byte of weights and every value of the description, and cheap the second time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cosyrt.accel import fingerprint as module
from cosyrt.accel.fingerprint import as_file_name, code_digest, file_digest, fingerprint, versions
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.files import cache_folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is known yet."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "cache" / "plans"))
    module._digest.cache_clear()


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def of(folder: Path) -> str:
    return fingerprint(ModelFolder.open(folder))


def test_a_copy_is_the_same_model(tiny_folder: Path, copy: Path) -> None:
    """Where it lies does not matter."""
    assert of(copy) == of(tiny_folder)


@pytest.mark.parametrize("part", ["llm", "flow", "hift"])
@pytest.mark.parametrize("place", [0.31, 0.5, 0.77, 1.0])
def test_every_byte_of_the_weights_counts(copy: Path, part: str, place: float) -> None:
    """Wherever one bit is turned."""
    before, path = of(copy), copy / f"{part}.safetensors"
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)

    assert of(copy) != before


def test_every_value_of_the_description_counts(copy: Path) -> None:
    """Values of the description and of the language model's configuration change the fingerprint."""
    first, path = of(copy), copy / "cosyvoice2.yaml"
    path.write_text(path.read_text().replace("sample_rate: 24000", "sample_rate: 22050"))
    second, config = of(copy), copy / "CosyVoice-BlankEN" / "config.json"
    config.write_text(config.read_text() + " ")

    assert len({first, second, of(copy)}) == 3


def test_a_file_is_read_once(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finds the note of this one; a file that was written again is read again."""
    path = copy / "llm.safetensors"
    digest = file_digest(path)
    module._digest.cache_clear()
    monkeypatch.setattr(module, "file_sha256", None)  # reading would fail

    assert file_digest(path) == digest
    os.utime(path, ns=(1, 1))
    with pytest.raises(TypeError):
        file_digest(path)


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"of": [], "sha256": "0"}', "\xff"])
def test_a_damaged_note_is_written_again(copy: Path, note: str) -> None:
    """Nothing that lies in the cache can give a wrong digest."""
    digest = file_digest(copy / "llm.safetensors")
    (path,) = (cache_folder() / "digests").iterdir()
    path.write_text(note, encoding="latin-1")
    module._digest.cache_clear()

    assert file_digest(copy / "llm.safetensors") == digest


def test_without_a_cache_it_is_read_each_time(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file is read at each load where its digest cannot be kept, and one line says so."""
    file = copy / "llm.safetensors"
    monkeypatch.setenv("COSYRT_PLANS", str(file / "plans"))

    assert len(file_digest(file)) == 64
    assert "cannot be kept" in caplog.text


def test_every_source_file_of_a_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed byte, another file, another place or another release gives another digest."""
    package = tmp_path / "cosyrt"
    (package / "accel" / "backend").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setattr(module.cosyrt, "__file__", str(package / "__init__.py"))

    def digest() -> str:
        code_digest.cache_clear()
        return code_digest("models", "accel")

    found = [digest()]
    (package / "accel" / "backend" / "new.py").write_text("1")
    found.append(digest())
    (package / "accel" / "backend" / "new.py").write_text("2")
    found.append(digest())
    (package / "accel" / "backend" / "new.py").rename(package / "accel" / "new.py")
    found.append(digest())
    (package / "engine.py").write_text("3")
    same = digest()
    monkeypatch.setattr(module.cosyrt, "__version__", "99")
    found.append(digest())
    code_digest.cache_clear()

    assert len(set(found)) == 5 and same == found[3]


def test_versions_name_what_is_not_there() -> None:
    """Every package that runs models is named, installed or not."""
    assert versions()["torch"] == module.torch.__version__.partition("+")[0] or "+" in versions()["torch"]
    assert all(versions().values())


@pytest.mark.parametrize("name", ["NVIDIA RTX 4090 24564 MB CUDA 12.8", "a/b", "..\\c"])
def test_a_name_of_a_file_has_no_strange_characters(name: str) -> None:
    """Letters, digits, dots and dashes."""
    assert set(as_file_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
