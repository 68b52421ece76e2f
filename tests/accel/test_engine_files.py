"""Engines in the cache folder: built once, and again when they do not hold any more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.accel.engine_files import engine_path, kept
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import UsageError

CPU = torch.device("cpu")


class Builder:
    """Builds engines, which are words, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def make(self) -> bytes:
        self.times += 1
        return b"a whole engine"

    def read(self, plan: bytes) -> str:
        if plan != b"a whole engine":
            raise UsageError("TensorRT cannot read its own engine, see its log above")
        return plan.decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "0123-cuda-float16-abc.engine"


def test_an_engine_is_built_once(path: Path) -> None:
    """What is there is not built again."""
    builder = Builder()

    assert {kept(path, builder.read, builder.make) for _ in range(3)} == {"a whole engine"}
    assert builder.times == 1


def test_what_is_damaged_is_built_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a file is no engine; afterwards it is whole, and a warning has told why it took so long."""
    builder = Builder()
    path.parent.mkdir()
    path.write_bytes(b"a whole eng")

    assert kept(path, builder.read, builder.make) == kept(path, builder.read, builder.make)
    assert builder.times == 1 and len(caplog.messages) == 1 and "is made again" in caplog.text


def test_where_nothing_can_be_written_it_is_built_each_time(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The minutes it took are not thrown away: the engine is used, and a warning tells."""
    builder = Builder()
    path.parent.write_text("a file where the folder should be")

    assert kept(path, builder.read, builder.make) == "a whole engine"
    assert builder.times == 1 and "cannot be kept" in caplog.text


def test_a_new_engine_that_cannot_be_read_is_an_error(path: Path) -> None:
    """Not a loop."""
    with pytest.raises(UsageError, match="its own engine"):
        kept(path, Builder().read, lambda: b"nonsense")


def test_older_ones_of_the_same_kind_are_forgotten(path: Path) -> None:
    """Other code or another version has another name; the other precision's engine stays."""
    builder = Builder()
    old, wide = path.with_name("0123-cuda-float16-xyz.engine"), path.with_name("0123-cuda-float32-xyz.engine")
    path.parent.mkdir()
    old.touch()
    wide.touch()
    kept(path, builder.read, builder.make)

    assert set(path.parent.iterdir()) == {path, wide}


def test_its_name_says_what_it_holds_for(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Precision, release of TensorRT, model; the number of threads is nothing to a GPU."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    folder, threads = ModelFolder.open(tiny_folder), torch.get_num_threads()
    wide, narrow = (engine_path(folder, CPU, dtype, "10.13") for dtype in (torch.float32, torch.float16))
    torch.set_num_threads(threads + 1)
    try:
        again = engine_path(folder, CPU, torch.float32, "10.13")
    finally:
        torch.set_num_threads(threads)

    assert wide.parent == tmp_path / "engines"
    assert wide == again and len({wide, narrow, engine_path(folder, CPU, torch.float32, "11.4")}) == 3
