"""Solvers in place of the model's own: which there are, how they are judged, which one wins."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.model import Model
from cosyrt.lab.approximate import (
    CLOSE,
    CLOSENESS,
    Approximations,
    Closeness,
    Judge,
    SolverTrial,
    approximations,
    candidates,
    closeness,
    converged_solver,
    decibels,
    spaced,
)
from cosyrt.lab.timing import Speedup
from cosyrt.models.flow import FlowConfig
from cosyrt.models.solver import euler, time_steps

FLOW = FlowConfig()


def trial(name: str, near: Closeness, median: float, low: float | None = None) -> SolverTrial:
    speedup = Speedup(median=median, low=median - 0.1 if low is None else low, high=median + 0.1)
    return SolverTrial(name=name, solver=euler(5, 0.7), distance_db=1.0, closeness=near, flow=speedup)


def tried(*trials: SolverTrial) -> Approximations:
    return Approximations(shipped_db=1.0, seeds_db=8.0, trials=list(trials), floor=1.05)


@given(steps=st.integers(1, 20), power=st.floats(1, 2))
def test_times_rise_from_0_to_1(steps: int, power: float) -> None:
    """A larger power makes the first step smaller; 1 is the schedule of the published models."""
    times = spaced(steps, power)

    assert len(times) == steps + 1 and times[0] == 0 and times[-1] == pytest.approx(1)
    assert all(before < after for before, after in pairwise(times))
    assert times[1] <= time_steps(steps)[1] + 1e-6


def test_every_candidate_costs_less() -> None:
    """Each has fewer rows than the model's own steps, and a name of its own; the cheapest come last."""
    found = candidates(FLOW)
    rows = [solver.rows for solver in found.values()]

    assert len(found) > 12 and max(rows) < FLOW.solver.rows == 20
    assert rows == sorted(rows, reverse=True)
    assert {solver.order for solver in found.values()} == {1, 2}
    assert any(0 < solver.rows < 2 * solver.steps for solver in found.values())


def test_without_guidance_none_can_be_left_out() -> None:
    """A model without guidance has candidates of one row a step only."""
    found = candidates(replace(FLOW, guidance=0.0))

    assert found and all(solver.rows == solver.steps < 10 for solver in found.values())


def test_distances_have_names() -> None:
    """No farther than the model's own steps; within a part of what another seed changes; or neither."""
    assert closeness(1.0, 1.0, 8.0) == "as close"
    assert closeness(CLOSE * 8.0, 1.0, 8.0) == "close"
    assert closeness(CLOSE * 8.0 + 0.01, 1.0, 8.0) == "audible"


def test_ten_times_the_amplitude_are_twenty_decibels() -> None:
    """The mel holds natural logarithms of amplitudes."""
    mel = torch.zeros(1, 80, 5)

    assert decibels(mel + torch.tensor(10.0).log(), mel) == pytest.approx(20, abs=1e-4)


def test_the_fastest_that_is_close_enough_wins() -> None:
    """What was not allowed, not timed, or is within the noise does not."""
    near, far = trial("near", "as close", 1.2), trial("far", "close", 1.6)
    worst = trial("worst", "audible", 2.0)

    assert tried(near, far, worst).best("as close") == near
    assert tried(near, far, worst).best("close") == far
    assert tried(near, far, worst).best("audible") == worst
    assert tried(trial("noise", "as close", 1.2, low=1.04)).best("audible") is None
    assert tried(replace(near, flow=None), far).best("as close") is None


@pytest.mark.parametrize("family", ["tiny_folder", "tiny1_folder", "tiny3_folder"])
def test_a_model_is_judged_and_timed(family: str, request: pytest.FixtureRequest, monkeypatch: Any) -> None:
    """All candidates get a distance; the cheapest of each closeness is timed; the rest says why not."""
    monkeypatch.setattr("cosyrt.lab.approximate.CONVERGED_STEPS", 12)
    monkeypatch.setattr("cosyrt.lab.approximate.SPOKEN_TOKENS", 10)
    monkeypatch.setattr("cosyrt.lab.approximate.STEPS", (4,))
    folder: Path = request.getfixturevalue(family)
    found = approximations(str(folder), "cpu", {}, seconds=0.5, threads=1)

    assert found.shipped_db > 0 and found.seeds_db > 0 and found.floor > 1
    assert {trial.closeness for trial in found.trials} <= set(CLOSENESS)
    timed = [trial for trial in found.trials if trial.flow is not None]
    assert {trial.closeness for trial in timed} == {trial.closeness for trial in found.trials}
    assert all(trial.why for trial in found.trials if trial.flow is None)


def test_more_steps_come_nearer(tiny_folder: Path, monkeypatch: Any) -> None:
    """The distance from the converged mel falls with the number of steps, and is nothing at their own."""
    monkeypatch.setattr("cosyrt.lab.approximate.CONVERGED_STEPS", 40)
    model = Model.open(tiny_folder, "cpu")
    judge = Judge(model, model.plain, seconds=0.0)
    distances = [judge.trial("", euler(steps, 0.7)).distance_db for steps in (4, 8, 20)]

    assert distances == sorted(distances, reverse=True)
    assert judge.trial("", converged_solver(model.settings.flow)).distance_db == 0
    assert len(judge.utterances) == 1, "without time there is one utterance"


def test_a_model_of_one_step_has_nothing_to_gain() -> None:
    """The built-in voice was taught to take one."""
    from cosyrt.engine.model import BUILTIN

    found = approximations(str(BUILTIN), "cpu", {}, seconds=1.0, threads=1)

    assert found.trials == [] and "taught to take one step" in found.why
    assert found.best("audible") is None
