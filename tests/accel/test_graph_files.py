"""Graphs in the cache folder: made once, and made again when they do not hold any more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cosyrt.accel import graph_files
from cosyrt.accel.backend.openvino import Compiled, converted
from cosyrt.accel.graph_files import ABANDONED_S, graphs_folder, kept
from cosyrt.checkpoint.folder import ModelFolder

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is an extra")

X = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))


class Maker:
    """Makes a graph of a layer, and counts how often."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 64)).requires_grad_(False)
        self.times = 0

    def make(self) -> Any:
        self.times += 1
        return converted(self.layer, (X,), 8)

    def same(self, graph: Any) -> bool:
        """Whether it is the graph of that layer, as far as 8 bits go."""
        want = self.layer(X)
        return bool((Compiled(graph, bf16=False)(X)[0] - want).norm() < 0.02 * want.norm())


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Maker:
    """One whose graphs go to an empty folder."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    return Maker()


@pytest.fixture
def folder(tiny_folder: Path) -> ModelFolder:
    return ModelFolder.open(tiny_folder)


def test_a_graph_is_made_once(maker: Maker, folder: ModelFolder) -> None:
    """The second time it is read, and is the same; another name is another graph."""
    assert maker.same(kept(folder, "one", maker.make)) and maker.same(kept(folder, "one", maker.make))
    assert maker.times == 1
    kept(folder, "other", maker.make)
    assert maker.times == 2 and len(list(graphs_folder().glob("*.xml"))) == 2


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(path.read_bytes()[:-512] + bytes(512)),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("suffix", [".xml", ".bin", ".sum"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(maker: Maker, folder: ModelFolder, suffix: str, damage: str) -> None:
    """Half a file, one that a crash left without its end, or two without the third, is no graph."""
    kept(folder, "one", maker.make)
    (path,) = graphs_folder().glob(f"*{suffix}")
    DAMAGES[damage](path)

    assert maker.same(kept(folder, "one", maker.make)) and maker.times == 2
    assert maker.same(kept(folder, "one", maker.make)) and maker.times == 2


def test_other_code_makes_it_anew_and_forgets_the_old_one(
    maker: Maker, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name changes with the code; what other code made of a model is not kept."""
    kept(folder, "one", maker.make)
    kept(folder, "one-two", maker.make)
    (graphs_folder() / "fedcba9876543210-one-0123.bin").write_bytes(b"of another model")
    monkeypatch.setattr(graph_files, "_made_of", lambda: "0123456789ab")
    kept(folder, "one", maker.make)
    names = {path.stem.partition("-")[2] for path in graphs_folder().iterdir()}

    assert maker.times == 3
    assert names == {"one-0123456789ab", "one-0123"}


def test_what_was_never_written_to_its_end_is_removed(maker: Maker, folder: ModelFolder) -> None:
    """A process that was killed left it; one that may still write is left alone."""
    graphs_folder().mkdir(parents=True)
    old, new = graphs_folder() / ".one.0123.bin", graphs_folder() / ".one.4567.bin"
    for path, age_s in ((old, 2 * ABANDONED_S), (new, 0)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
    kept(folder, "one", maker.make)

    assert not old.exists() and new.exists()


def test_where_nothing_can_be_written_it_is_made_each_time(
    maker: Maker, folder: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning tells; the graph is there all the same."""
    (tmp_path / "graphs").write_text("a file where the folder should be")

    assert maker.same(kept(folder, "one", maker.make)) and maker.same(kept(folder, "one", maker.make))
    assert maker.times == 2
    assert "cannot be kept" in caplog.text
