"""Descriptions of machines: what is written is read back, and what is not understood is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosyrt.errors import UsageError
from cosyrt.machine.facts import Cpu, Gpu, Machine

RTX_2050 = Path(__file__).parent / "machines" / "rtx2050.json"


def test_what_is_printed_is_read_back(tmp_path: Path) -> None:
    """A description survives JSON, alone or inside the whole output of `cosyrt device --json`."""
    machine = Machine(
        system="Linux x86_64",
        cpu=Cpu(name="Some CPU", cores=2, instruction_sets=("avx2",)),
        ram_mb=8_000,
        gpus=(Gpu(name="Some GPU", memory_mb=4096, used_mb=379, capability="8.6"),),
        runtimes={"torch": "2.13.0"},
        notes=("a note",),
    )
    for name, content in {"alone": machine.as_data(), "whole": {"machine": machine.as_data()}}.items():
        (tmp_path / name).write_text(json.dumps(content))
        assert Machine.read(tmp_path / name) == machine


def test_the_card_of_the_seeds_is_read() -> None:
    """An RTX 2050 with 4 GB; what its description leaves out is unknown, not zero."""
    machine = Machine.read(RTX_2050)

    assert machine.gpu is not None
    assert (machine.gpu.name, machine.gpu.free_mb) == ("NVIDIA GeForce RTX 2050", 3717)
    assert machine.gpu.reaches(8, 0) and not machine.gpu.reaches(9, 0)
    assert machine.is_windows
    assert (machine.cpu.cores, machine.ram_mb) == (None, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "no description of a machine"),
        ("[]", "expected an object"),
        ('{"gpu": []}', "'gpu' is not known; there are system, cpu"),
        ('{"gpus": [{"name": "x"}]}', "memory_mb"),
        ('{"gpus": {"name": "x"}}', "gpus cannot be"),
        ('{"gpus": [{"name": "x", "memory_mb": "4 GB"}]}', "memory_mb cannot be '4 GB'"),
        ('{"gpus": [{"name": "x", "memory_mb": 1, "capability": "Ampere"}]}', "looks like 8.6, not 'Ampere'"),
        ('{"cpu": {"cores": true}}', "cores cannot be True"),
        ('{"runtimes": {"torch": 2}}', "torch cannot be 2"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, content: str, says: str) -> None:
    """A wrong description is one line that says which field and why."""
    path = tmp_path / "machine.json"
    path.write_text(content)

    with pytest.raises(UsageError) as error:
        Machine.read(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_description_is_a_usage_error(tmp_path: Path) -> None:
    """No such file is told like any other mistake."""
    with pytest.raises(UsageError, match=r"nothing\.json"):
        Machine.read(tmp_path / "nothing.json")
