"""Looking a machine up: this one, and what nvidia-smi prints of others."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from cosyrt.machine import probe
from cosyrt.machine.facts import Gpu, Machine

LINE = "NVIDIA GeForce RTX 2050, 4096, 379, 8.6, 552.22, 19"
CARD = Gpu(
    name="NVIDIA GeForce RTX 2050",
    memory_mb=4096,
    used_mb=379,
    capability="8.6",
    driver="552.22",
    cuda="12.4",
    utilisation_percent=19,
)


def test_this_machine_is_described(tmp_path: Path) -> None:
    """Whatever it is, it has a processor, cores and torch, and its description can be read back."""
    machine = probe.this_machine()
    (tmp_path / "this.json").write_text(json.dumps(machine.as_data()))

    assert machine.cpu.name
    assert machine.cpu.cores == probe.usable_cores() >= 1
    assert machine.runtimes["torch"]
    assert Machine.read(tmp_path / "this.json") == machine


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_instructions_come_from_the_kernel() -> None:
    """There is less free memory than memory, and x86 processors that run torch know more than SSE."""
    machine = probe.this_machine()

    assert machine.ram_mb is not None and machine.ram_free_mb is not None
    assert 0 < machine.ram_free_mb <= machine.ram_mb
    assert os.uname().machine != "x86_64" or machine.has("avx", "avx2")


def test_second_threads_of_a_core_are_no_cores() -> None:
    """Two processors of one core count once; the same number in another package is another core."""
    blocks = [
        f"processor : 0\nphysical id : {package}\ncore id : {core}"
        for package, core in ((0, 0), (0, 0), (1, 0))
    ]

    assert set(probe.cores_of("\n\n".join(blocks))) == {("0", "0"), ("1", "0")}
    assert list(probe.cores_of("processor : 0\nmodel name : some ARM")) == []
    assert 1 <= probe.physical_cores() <= probe.usable_cores()


def test_a_line_of_nvidia_smi_is_a_card() -> None:
    """The fields of the query, in its order."""
    assert probe.gpu_of(LINE, "12.4") == CARD


def test_what_a_card_does_not_tell_is_unknown() -> None:
    """`[N/A]`, as cards on a laptop or in a container answer, is no value."""
    card = probe.gpu_of("GRID T4, 16384, [N/A], 7.5, 535.1, [Not Supported]", None)

    assert (card.used_mb, card.utilisation_percent, card.cuda) == (0, None, None)
    assert card.memory_mb == 16384


def program(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


unix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script as nvidia-smi")


@unix
def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card beside a torch without CUDA is found, and the contradiction is told."""
    program(tmp_path, f'case "$1" in --query*) echo "{LINE}";; *) echo "| CUDA Version: 12.4 |";; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    machine = probe.this_machine()

    assert machine.gpus == (CARD,)
    told = any(
        "a build without CUDA: the NVIDIA GeForce RTX 2050 is not used" in each for each in machine.notes
    )
    assert told == ("CUDA of torch" not in machine.runtimes)


@unix
def test_a_broken_driver_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi that fails is a note, not an exception, and no card."""
    program(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    machine = probe.this_machine()

    assert machine.gpus == ()
    assert any("nvidia-smi is there but fails" in note for note in machine.notes)


def test_two_packages_of_onnxruntime_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """They overwrite each other's files."""
    monkeypatch.setattr(probe, "_version", lambda name: "1.31.1")

    assert any("overwrite each other" in note for note in probe.this_machine().notes)
