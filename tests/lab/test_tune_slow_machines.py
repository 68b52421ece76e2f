"""Tuning on machines that are up to twenty times slower, on a clock that only the trials move."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cosyrt.lab.tune as tuning
from cosyrt.accel.contract import PARTS, Availability, Part
from cosyrt.accel.registry import BACKENDS
from cosyrt.errors import UsageError
from cosyrt.lab.approximate import Closeness
from cosyrt.lab.child import Outcome
from cosyrt.lab.choice import TOO_LONG
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.trial import EAGER_WAYS, LEAST_PASSES, MOST_PASSES, Job, Measurement, Shares
from cosyrt.lab.trial_costs import TrialCosts, _tokens
from cosyrt.lab.tune import TuneProgress, TuneReport, Tuning
from cosyrt.lab.workload import TIMED_LENGTHS
from tests.lab.test_trial import timed

TRIED = ("bf16", "int8", "openvino", "onnxruntime")


class Machine:
    """A machine on which everything takes so many times as long; its trials differ from every estimate."""

    def __init__(self, slowness: float, seed: int) -> None:
        self.now, self.chance = 0.0, random.Random(seed)
        self.jobs: list[Job] = []
        speech: dict[Part, float] = {"llm": 2.4, "encode": 0.1, "velocity": 2.0, "vocode": 0.3}
        visits: dict[Part, float] = {"llm": 0.3, "encode": 0.1, "velocity": 0.3, "vocode": 0.3}
        self.shares = Shares(
            seconds={part: slowness * seconds for part, seconds in speech.items()},
            visit_s={part: slowness * seconds for part, seconds in visits.items()},
            load_s=0.5 * slowness,
            device="cpu",
        )

    def call(self, function: object, *arguments: object, timeout_s: float, memory_bytes: int) -> Outcome:
        """What a child does, in no time."""
        if function is tuning.approximations:
            self.now += timeout_s
            return Outcome(failure=TOO_LONG)
        if function is tuning.shares:
            self.now += 3 * sum(self.shares.seconds.values())
            return Outcome(value=self.shares)
        (job,) = arguments
        assert isinstance(job, Job)
        took = self.trial_s(job)
        self.now += min(took, timeout_s)
        if took > timeout_s:
            return Outcome(failure=TOO_LONG)
        self.jobs.append(job)
        right = Parity(precision="half", distances=Distances())
        return Outcome(value=Measurement(build_s=0.1, parity=right, timed=timed(1.5, 1.6), calls={}))

    def trial_s(self, job: Job) -> float:
        """Seconds of a trial: starting, comparing, and passes over the lengths as `timed_for` makes them."""
        parts = set(PARTS) if job.whole else set(job.parts)
        per_token = sum(self.shares.visit_s[part] for part in parts) / _tokens(TIMED_LENGTHS[0])
        a_pass = EAGER_WAYS * per_token * sum(map(_tokens, job.lengths))
        passes = 1 + int(np.clip((job.seconds - 2 * a_pass) / a_pass, LEAST_PASSES, MOST_PASSES))
        fixed = 5.0 + self.shares.load_s + TrialCosts(self.shares)._parity_s(set(job.parts))
        return self.chance.uniform(0.6, 1.4) * (fixed + passes * a_pass)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder for plans, and backends that are all there."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path))
    there = {name: replace(BACKENDS[name], availability=lambda device: Availability(True)) for name in TRIED}
    monkeypatch.setattr(tuning, "BACKENDS", there)
    yield tmp_path


def tuned(
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    folder: Path,
    budget_s: float | None,
    approximate: Closeness | None = None,
) -> tuple[TuneReport, list[TuneProgress]]:
    """Tune on the machine; also what it said meanwhile."""
    said: list[TuneProgress] = []
    monkeypatch.setattr(tuning, "call_in_child", machine.call)
    report = Tuning(
        folder,
        "cpu",
        budget_s,
        ("exact", "half", "quantised"),
        approximate,
        False,
        1,
        said.append,
        clock=lambda: machine.now,
    ).run()
    return report, said


@pytest.mark.parametrize("slowness", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("budget_s", [90, 300, 720, 1_560, 3_600])
def test_whatever_was_proven_is_in_the_plan(
    slowness: int, budget_s: float, monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """A budget that is too small leaves candidates untried, never a plan without the parts that won."""
    for seed in range(5):
        machine = Machine(slowness, seed)
        for kept in plans.glob("*"):
            kept.unlink()
        try:
            report, _ = tuned(monkeypatch, machine, tiny_folder, budget_s)
        except UsageError as error:
            assert "this machine needs about" in str(error) and not machine.jobs
            continue
        assert machine.jobs and report.plan.parts
        assert report.plan.speedup > 1
        if report.whole is not None and report.whole.verdict == "failed":
            assert len(report.plan.parts) == 1
        assert machine.now <= 1.5 * budget_s + 3 * sum(machine.shares.seconds.values())


@pytest.mark.parametrize("slowness", [1, 3, 20])
def test_without_a_budget_it_takes_what_the_machine_needs(
    slowness: int, monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """How long that is, it says before the first trial; then nothing is left out for lack of time."""
    machine = Machine(slowness, 0)
    report, said = tuned(monkeypatch, machine, tiny_folder, None)

    first = next(each for each in said if each.needs_s is not None)
    assert not first.doing.startswith(TRIED) and first.budget_s >= (first.needs_s or 0)
    assert not [row for row in report.rows if row.why == tuning.NO_TIME]
    assert report.whole is not None and report.whole.verdict == "chosen"
    assert machine.now <= 1.2 * first.budget_s


@pytest.mark.parametrize("budget_s", [300, 720, 3_600])
def test_solvers_that_take_for_ever_end_with_the_budget(
    budget_s: float, monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """What was proven before them is in the plan, and it says that they took too long."""
    machine = Machine(2, 0)
    report, _ = tuned(monkeypatch, machine, tiny_folder, budget_s, "close")

    assert report.plan.parts and report.plan.solver is None
    assert report.approximations is not None and report.approximations.why == TOO_LONG
    assert machine.now <= 1.5 * budget_s


def test_budgets_that_are_too_small_add_up(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Each tuning goes on from what those before have found, until several parts are in the plan."""
    parts: list[int] = []
    for seed in range(6):
        report, _ = tuned(monkeypatch, Machine(5, seed), tiny_folder, 900)
        parts.append(len(report.plan.parts))
    assert parts[0] >= 1 and parts[-1] >= 2 and parts == sorted(parts)
