"""Artifacts in the cache folder: made once, and made again when they do not hold any more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cosyrt.accel import artifacts
from cosyrt.accel.artifacts import ABANDONED_S, CHECKSUMS, UNFINISHED, ArtifactFormat, artifact_path, kept
from cosyrt.accel.backend.openvino import GRAPH, Compiled, converted
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import UsageError

WHOLE = b"a whole artifact"


def read(folder: Path) -> str:
    """An artifact in two files, as a backend reads it."""
    if (folder / "first").read_bytes() != WHOLE:
        raise UsageError("this cannot be read")
    return (folder / "second").read_text()


def write(made: bytes, folder: Path) -> None:
    (folder / "first").write_bytes(made)
    (folder / "second").write_text("constants")


def use(made: bytes) -> str:
    if made != WHOLE:
        raise UsageError("not even the new one can be used")
    return "in memory"


WORDS = ArtifactFormat(write=write, read=read, use=use)


class Maker:
    """Makes an artifact and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return WHOLE


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "cache" / "plans"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tiny_folder: Path) -> ModelFolder:
    return ModelFolder.open(tiny_folder)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def test_an_artifact_is_made_once(maker: Maker, folder: ModelFolder) -> None:
    """The second time it is read; another name is another artifact."""
    assert {kept(folder, "one", maker, WORDS) for _ in range(3)} == {"constants"}
    assert maker.times == 1

    kept(folder, "two / more", maker, WORDS)
    assert maker.times == 2
    assert {path.name for path in artifact_path(folder, "one").parent.iterdir()} == {"one", "two---more"}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(path.read_bytes()[:-5] + bytes(5)),
    "gone": lambda path: path.unlink(),
    "strange": lambda path: path.write_bytes(b"\xff"),
}


@pytest.mark.parametrize("file", ["first", "second", CHECKSUMS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(
    maker: Maker, folder: ModelFolder, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a file, one that lost its end or is gone: a warning tells, and afterwards it is whole."""
    kept(folder, "one", maker, WORDS)
    DAMAGES[damage](artifact_path(folder, "one") / file)

    assert kept(folder, "one", maker, WORDS) == "constants" and maker.times == 2
    assert len(caplog.messages) == 1 and "is made again" in caplog.text
    assert kept(folder, "one", maker, WORDS) == "constants" and maker.times == 2


def test_what_the_backend_cannot_read_is_made_again(maker: Maker, folder: ModelFolder) -> None:
    """Whole files that a runtime refuses are no artifact."""
    kept(
        folder, "one", lambda: b"another format", ArtifactFormat(write=write, read=lambda folder: "", use=use)
    )

    assert kept(folder, "one", maker, WORDS) == "constants" and maker.times == 1


def test_a_new_artifact_that_cannot_be_used_is_an_error(folder: ModelFolder) -> None:
    """An artifact that is useless even when new is an error, not made over and over."""
    with pytest.raises(UsageError, match="not even the new one"):
        kept(folder, "one", lambda: b"nonsense", WORDS)


def test_where_nothing_can_be_written_it_is_made_each_time(
    maker: Maker, folder: ModelFolder, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What took minutes to make is used all the same, and a warning tells."""
    cache.mkdir()
    (cache / "artifacts").write_text("a file where the folder should be")

    assert [kept(folder, "one", maker, WORDS) for _ in range(2)] == ["in memory"] * 2
    assert maker.times == 2 and "cannot be kept" in caplog.text


def test_other_code_makes_it_anew_and_forgets_the_old_one(
    maker: Maker, folder: ModelFolder, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other code or versions made of this model is removed; other models keep theirs."""
    for name in ("one", "two"):
        kept(folder, name, maker, WORDS)
    other_model = cache / "artifacts" / "fedcba9876543210" / "0123" / "one"
    other_model.mkdir(parents=True)
    old = artifact_path(folder, "one").parent
    monkeypatch.setattr(artifacts, "versions", lambda: {"torch": "99.0"})
    kept(folder, "one", maker, WORDS)

    assert maker.times == 3
    assert not old.exists() and artifact_path(folder, "one").is_dir() and other_model.is_dir()


def test_every_source_of_models_and_accel_counts(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other code in either package gives other places."""
    before = artifact_path(folder, "one")
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(artifacts, "code_digest", lambda *packages: asked.append(packages) or "other")

    assert artifact_path(folder, "one") != before and asked == [("models", "accel")]


def test_a_writer_that_fails_leaves_nothing(maker: Maker, folder: ModelFolder, cache: Path) -> None:
    """A full disk in the middle of writing leaves no files behind."""

    def full(made: bytes, folder: Path) -> None:
        write(made, folder)
        raise OSError(28, "No space left on device")

    assert kept(folder, "one", maker, ArtifactFormat(write=full, read=read, use=use)) == "in memory"
    assert [path for path in cache.rglob("*") if path.is_file() and "digests" not in path.parts] == []


def killed_in_the_middle(folder: ModelFolder) -> None:
    """A process that ends without a word while it writes."""
    kept(folder, "one", lambda: WHOLE, ArtifactFormat(write=lambda *_: os._exit(9), read=read, use=use))


def test_what_a_killed_writer_left_is_removed(maker: Maker, folder: ModelFolder, cache: Path) -> None:
    """Nobody reads it; a later writer removes it once it is old, and leaves alone what is being written."""
    process = get_context("spawn").Process(target=killed_in_the_middle, args=(folder,))
    process.start()
    process.join()
    (left,) = (cache / "artifacts").glob(f"{UNFINISHED}*")
    assert not artifact_path(folder, "one").exists()

    assert kept(folder, "one", maker, WORDS) == "constants" and left.exists()
    os.utime(left, (time.time() - 2 * ABANDONED_S,) * 2)
    kept(folder, "two", maker, WORDS)
    assert not left.exists() and list((cache / "artifacts").glob(f"{UNFINISHED}*")) == []


def test_two_writers_of_one_artifact(folder: ModelFolder) -> None:
    """Whoever comes second takes what the first has written."""

    def make() -> bytes:
        kept(folder, "one", lambda: WHOLE, WORDS)  # another process, meanwhile
        return WHOLE

    assert kept(folder, "one", make, WORDS) == "constants"


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is an extra")
def test_a_graph_of_openvino_is_kept(folder: ModelFolder) -> None:
    """What is read computes what was made, and its constants are mapped from the file."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 64)).requires_grad_(False)
    x, times = torch.randn(3, 256), []

    def make() -> Any:
        times.append(1)
        return converted(layer, (x,), 8)

    for _ in range(2):
        out = Compiled(kept(folder, "layer", make, GRAPH), bf16=False)(x)[0]
        assert (out - layer(x)).norm() < 0.02 * layer(x).norm()
    assert times == [1]
    assert {path.name for path in artifact_path(folder, "layer").iterdir()} == {
        "graph.xml",
        "graph.bin",
        CHECKSUMS,
    }
