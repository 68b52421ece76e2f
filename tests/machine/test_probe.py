"""Looking up what this machine is made of."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cosyrt.machine import probe
from cosyrt.machine.facts import Gpu, Machine


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


def test_second_threads_of_a_core_are_no_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two logical cores of one physical core count once; those that this process may not use do not count."""
    for number, siblings in enumerate(["0-1", "0-1", "2-3", "2-3"]):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr(probe, "CPUS", tmp_path)
    monkeypatch.setattr(probe, "_cpu_quota", lambda: None)
    counted = {}
    for usable in ((0, 1, 2, 3), (0, 1), (1, 2)):
        monkeypatch.setattr(probe, "_affinity", lambda usable=usable: list(usable))
        counted[usable] = probe.physical_cores()

    assert counted == {(0, 1, 2, 3): 2, (0, 1): 1, (1, 2): 2}


def test_where_siblings_are_not_told_psutil_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cores are within what the process may use, and within the container's share of time."""
    monkeypatch.setattr(probe, "CPUS", tmp_path)
    monkeypatch.setattr(probe.psutil, "cpu_count", lambda logical=True: 8)
    monkeypatch.setattr(probe, "_affinity", lambda: list(range(6)))
    monkeypatch.setattr(probe, "_cpu_quota", lambda: None)
    assert probe.physical_cores() == 6
    monkeypatch.setattr(probe, "_cpu_quota", lambda: 2.5)
    assert probe.physical_cores() == 2
    monkeypatch.setattr(probe, "_cpu_quota", lambda: 0.5)
    assert probe.physical_cores() == 1


def test_a_card_beside_a_torch_without_cuda_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contradiction between hardware and software is a note, as is a driver that does not answer."""
    monkeypatch.setattr(probe, "find_gpus", lambda: ((Gpu(name="a card", memory_mb=4096),), "the driver"))
    machine = probe.this_machine()

    assert machine.gpus[0].name == "a card" and machine.notes[0] == "the driver"
    told = any("a build without CUDA: the a card is not used" in each for each in machine.notes)
    assert told == ("CUDA of torch" not in machine.runtimes)


def test_two_packages_of_onnxruntime_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages that overwrite each other's files are a note."""
    monkeypatch.setattr(probe, "_version", lambda name: "1.31.1")

    assert any("overwrite each other" in note for note in probe.this_machine().notes)
