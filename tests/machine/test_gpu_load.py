"""How busy the GPU is, by a program in the place of nvidia-smi."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cosyrt.machine.gpu_load import GpuLoad

unix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script as nvidia-smi")


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nvidia-smi prints what is in a file, over and over; of other cards than the second it knows nothing."""
    script = tmp_path / "nvidia-smi"
    script.write_text(
        f"#!/bin/sh\n[ $1 = --id=GPU-1234 ] || exit 6\nwhile true; do cat {tmp_path}/now; sleep 0.01; done\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    cards = ["abcd", "1234"]
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=cards[card.index])
    )
    return tmp_path / "now"


def seen(load: GpuLoad, name: str) -> float:
    while (percent := load.percent(name)) is None:
        time.sleep(0.01)
    return percent


@unix
def test_what_is_seen_belongs_to_what_runs(numbers: Path) -> None:
    """Each name gets the figures of its own time; what is no number is no figure."""
    numbers.write_text("[N/A]\n")
    load = GpuLoad(torch.device("cuda", 1))
    with load.watched():
        with load.of("one"):
            numbers.write_text("[N/A]\n80\n")
            assert seen(load, "one") == 80
        numbers.write_text("[N/A]\n")

    assert load.percent("two") is None


def test_nothing_is_seen_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nvidia-smi, or for a model on the CPU, there is no figure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for load in (GpuLoad(torch.device("cuda", 1)), GpuLoad(torch.device("cpu"))):
        with load.watched(), load.of("one"):
            pass
        assert load.percent("one") is None
