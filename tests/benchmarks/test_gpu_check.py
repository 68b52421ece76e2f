"""The check for a GPU, run on the processor with a small model: steps, limits, results after each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks import gpu_check
from benchmarks.gpu_check import Step, main, run, steps


def options(tmp_path: Path, **changes: object) -> argparse.Namespace:
    given = {"folder": tmp_path, "device": "cpu", "small": True, "minutes": 2.0, "upstream": None}
    return argparse.Namespace(**{**given, "upstream_python": "python", **changes})


def test_the_steps_come_in_order_of_value(tmp_path: Path) -> None:
    """Tests before tuning, tuning before figures, upstream last and only where it was given."""
    names = [step.name for step in steps(options(tmp_path))]

    assert names == ["device", "tests", "tune", "bench", "streams"]
    assert [step.name for step in steps(options(tmp_path, upstream=tmp_path))][-1] == "upstream"


def test_a_step_ends_with_its_limit(tmp_path: Path) -> None:
    """A process that goes on is ended with what it has begun; one that fails is told from one that passes."""
    long = Step(name="long", command=[sys.executable, "-c", "import time; time.sleep(60)"], share=1)
    begin = time.monotonic()
    assert run(long, 0.5, tmp_path / "log", {}).outcome == "out of time"
    assert time.monotonic() - begin < 30
    bad = Step(name="bad", command=[sys.executable, "-c", "print('reason'); raise SystemExit(3)"], share=1)
    found = run(bad, 30, tmp_path / "log", {})
    assert (found.outcome, found.last) == ("failed", "reason")


def test_results_are_there_after_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that there is no time for is listed as not begun; a failure is the exit code."""
    said = [sys.executable, "-c", "print('found')"]
    failing = [sys.executable, "-c", "raise SystemExit(1)"]
    made = [Step(name="one", command=said, share=1), Step(name="two", command=failing, share=0.5)]
    late = [Step(name="late", command=said, share=0.0)]
    monkeypatch.setattr(gpu_check, "steps", lambda options: [*made, *late])
    code = main(["--small", "--device", "cpu", "--minutes", "1", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "results.json").read_text())

    assert code == 1
    assert [(each["name"], each["outcome"]) for each in found] == [
        ("one", "passed"),
        ("two", "failed"),
        ("late", "not begun"),
    ]
    assert (tmp_path / "one.log").read_text() == "found\n" and (tmp_path / "model").is_dir()


@pytest.mark.slow
def test_all_steps_run_on_the_processor(tmp_path: Path) -> None:
    """Every real step passes with a small model, given the time."""
    code = main(["--small", "--device", "cpu", "--minutes", "8", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "results.json").read_text())

    assert code == 0, found
    assert {each["outcome"] for each in found} == {"passed"}, found
