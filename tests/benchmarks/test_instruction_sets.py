"""The choice of backends for masked instruction sets: every part is timed, the fastest is marked."""

from __future__ import annotations

import pytest

from benchmarks.instruction_sets import CANDIDATES, SETS, measured, options_of, rows
from cosyrt.accel.registry import EAGER, MODULES
from cosyrt.lab.workload import Workload


def test_every_part_is_timed(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backend has a time; without 16-bit arithmetic those that need it have none."""
    for part in CANDIDATES:
        monkeypatch.setitem(CANDIDATES, part, (EAGER, "bf16") if part == "velocity" else (EAGER,))
    with_bf16, without = (measured(workload.model, bf16, passes=1) for bf16 in (True, False))

    assert set(with_bf16["velocity"]) == {EAGER, "bf16"} and set(without["velocity"]) == {EAGER}
    assert all(time > 0 for part in with_bf16.values() for time in part.values())


def test_the_fastest_is_marked() -> None:
    """In each column, of each part."""
    found = {
        "AVX2": {part: {EAGER: 20.0, "openvino": 10.4} for part in CANDIDATES},
        "AMX": {part: {EAGER: 5.0, "openvino-bf16": 7.0} for part in CANDIDATES},
    }
    cells = {(row["part"], row["backend"]): (row["AVX2"], row["AMX"]) for row in rows(found)}

    assert cells["velocity", EAGER] == ("20", "5 *")
    assert cells["velocity", "openvino"] == ("10 *", "")
    assert cells["vocode", "openvino-bf16"] == ("", "7")


def test_sets_and_backends_are_known() -> None:
    """All sets are measured unless some are named, and every candidate is a backend."""
    assert options_of(["model"]).sets.split(",") == list(SETS)
    assert {name for names in CANDIDATES.values() for name in names} <= {EAGER, *MODULES}
    assert len({each.environment["ONEDNN_MAX_CPU_ISA"] for each in SETS.values()}) == len(SETS)
