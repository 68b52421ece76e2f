"""Tuning end to end on the tiny model, and its choices on made-up rows."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import cosyrt.lab.tune as tuning
from cosyrt.accel.contract import Availability
from cosyrt.accel.plan import Plan
from cosyrt.accel.registry import BACKENDS
from cosyrt.errors import ModelError, UsageError
from cosyrt.lab.child import Outcome
from cosyrt.lab.choice import best_of, with_rank
from cosyrt.lab.chunked import ChunkedTrial
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.timing import Speedup
from cosyrt.lab.trial import Job, Measurement, Shares, TrialResult, amdahl
from cosyrt.lab.tune import tune
from tests.lab.test_trial import timed

TRIED = ("bf16", "int8")
BUDGET_S = 600.0
SHARES = Shares(
    seconds={"llm": 6.0, "encode": 0.1, "velocity": 4.0, "vocode": 0.5},
    visit_s={"llm": 0.05, "encode": 0.01, "velocity": 0.03, "vocode": 0.01},
    load_s=0.1,
    device="cpu",
)

IN_CHUNKS = ChunkedTrial(flow=Speedup(median=1.4, low=1.3, high=1.5), floor=1.1, distance_db=2.0)


def row(name: str, cost_s: float, precision: str = "half") -> TrialResult:
    return TrialResult(
        part="llm",
        candidate=name,
        precision=precision,  # type: ignore[arg-type]
        verdict="faster",
        why="",
        predicted=2.0,
        timed=timed(1.4, 1.6, cost_s=cost_s),
    )


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder for plans."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path))
    return tmp_path


def acted(monkeypatch: pytest.MonkeyPatch, whole_low: float) -> list[Job]:
    """Children that answer at once: each candidate is faster, the whole is as fast as said."""
    jobs: list[Job] = []

    def child(function: object, *arguments: object, **limits: object) -> Outcome:
        if function is tuning.shares:
            return Outcome(value=SHARES)
        if function is tuning.chunked_trial:
            return Outcome(value=IN_CHUNKS)
        (job,) = arguments
        assert isinstance(job, Job)
        jobs.append(job)
        found = timed(whole_low, whole_low + 0.1) if job.whole else timed(1.5, 1.6)
        right = Parity(precision="half", distances=Distances())
        return Outcome(value=Measurement(build_s=0.1, parity=right, timed=found, calls={"step": [(1, 0.1)]}))

    here = {name: replace(BACKENDS[name], availability=lambda device: Availability(True)) for name in TRIED}
    monkeypatch.setattr(tuning, "BACKENDS", here)
    monkeypatch.setattr(tuning, "call_in_child", child)
    return jobs


def test_the_best_of_each_part_make_the_plan(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Parts too small are not tried, classes not allowed are left out, and the whole is tried last."""
    jobs = acted(monkeypatch, 1.5)
    report = tune(tiny_folder, device="cpu", allow=("exact", "half"))

    assert jobs[-1].whole and set(jobs[-1].parts) == set(report.plan.parts) == {"llm", "velocity"}
    assert {r.candidate for r in report.rows if r.verdict == "chosen"} == {"bf16"}
    assert all("not allowed" in r.why for r in report.rows if r.candidate == "int8")
    assert all("of the work" in r.why for r in report.rows if r.part == "encode" and r.candidate == "bf16")
    assert Plan.read(report.path) == report.plan
    assert report.plan.parts["llm"].calls == {"step": [(1, 0.1)]}


@pytest.mark.parametrize("allowed", [True, False])
def test_speech_in_chunks_must_be_allowed(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path, allowed: bool
) -> None:
    """Chunks give other samples than the whole piece: nobody gets them who did not ask."""
    acted(monkeypatch, 1.5)
    report = tune(tiny_folder, device="cpu", chunked=allowed)

    assert report.chunked == (IN_CHUNKS if allowed else None)
    assert report.plan.chunked is allowed and report.plan.calls == {"step": [(1, 0.1)]}
    assert Plan.read(report.path) == report.plan


def test_several_streams_have_a_plan_of_their_own(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Every trial runs as many streams, and the plan for a single one stays as it was."""
    jobs = acted(monkeypatch, 1.5)
    one = tune(tiny_folder, device="cpu")
    assert {job.streams for job in jobs} == {1}
    jobs.clear()
    four = tune(tiny_folder, device="cpu", streams=4)

    assert {job.streams for job in jobs} == {4}
    assert four.path != one.path and Plan.read(one.path) == one.plan and Plan.read(four.path) == four.plan
    assert {planned.streams for planned in four.plan.parts.values()} == {4}


def test_what_promises_most_beyond_what_is_found_is_next(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """A second candidate for the heaviest part waits, where the first has saved most of what there was."""
    jobs = acted(monkeypatch, 1.5)
    tune(tiny_folder, device="cpu")
    parts = [part for job in jobs[:-1] for part in job.parts]

    assert parts[:2] == ["llm", "velocity"] and parts.count("llm") > 1


def test_what_a_family_lacks_costs_no_process(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """TorchScript has no language model of CosyVoice 2: its row says so, and no process loads the model."""
    monkeypatch.setattr(sys.modules[__name__], "TRIED", ("int8", "torchscript"))
    jobs = acted(monkeypatch, 1.5)
    report = tune(tiny_folder, device="cpu")
    (row,) = (r for r in report.rows if (r.part, r.candidate) == ("llm", "torchscript"))

    assert row.verdict == "absent" and row.why.startswith("TorchScript has no part llm of cosyvoice2")
    assert "torchscript" not in {name for job in jobs for name in job.parts.values()}


def test_of_parts_that_do_not_win_together_the_best_is_the_plan(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Parts that are faster alone and not together: the one that saves most has proven itself."""
    acted(monkeypatch, 0.9)
    report = tune(tiny_folder, device="cpu", budget_s=BUDGET_S)

    assert set(report.plan.parts) == {"llm"}
    assert report.whole is not None and report.whole.verdict == "same"
    assert [r.part for r in report.rows if r.verdict == "chosen"] == ["llm"]
    (row,) = (r for r in report.rows if r.verdict == "chosen")
    assert report.plan.speedup == pytest.approx(amdahl(report.shares.share("llm"), row.gain))
    assert Plan.read(report.path) == report.plan


def test_one_part_that_does_not_win_as_a_whole_is_dropped(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """An utterance was timed with it, and did not become faster: the plan is the plain way."""
    monkeypatch.setattr(sys.modules[__name__], "TRIED", ("int8",))
    acted(monkeypatch, 0.9)
    monkeypatch.setitem(tuning.BACKENDS, "int8", replace(tuning.BACKENDS["int8"], parts=("llm",)))
    report = tune(tiny_folder, device="cpu", budget_s=BUDGET_S)

    assert report.plan.parts == {} and report.whole is not None
    assert not [r for r in report.rows if r.verdict == "chosen"]


def test_the_next_tuning_goes_on(monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path) -> None:
    """Interrupted in its second trial, or over: no trial that was over is made again."""
    jobs = acted(monkeypatch, 1.5)
    answer = tuning.call_in_child

    def second(function: object, *arguments: object, **limits: object) -> Outcome:
        if jobs:
            raise KeyboardInterrupt
        return answer(function, *arguments, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "call_in_child", second)
    with pytest.raises(KeyboardInterrupt):
        tune(tiny_folder, device="cpu", budget_s=BUDGET_S)
    monkeypatch.setattr(tuning, "call_in_child", answer)
    report = tune(tiny_folder, device="cpu", budget_s=BUDGET_S)
    single = [tuple(job.parts.items()) for job in jobs if not job.whole]
    assert len(set(single)) == len(single) > 2

    jobs.clear()
    again = tune(tiny_folder, device="cpu", budget_s=BUDGET_S)
    assert [job.whole for job in jobs] == [True]
    assert again.rows == report.rows and again.plan.parts == report.plan.parts


def test_interrupted_it_keeps_the_old_plan(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Ctrl-C anywhere leaves the file as it was."""
    acted(monkeypatch, 1.5)
    old = tune(tiny_folder, device="cpu")

    def stopped(*arguments: object, **limits: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "call_in_child", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune(tiny_folder, device="cpu")

    assert Plan.read(old.path) == old.plan
    assert [path.name for path in plans.glob("*.json")] == [old.path.name]


def test_a_candidate_that_fails_is_a_row(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """A crash, or too much time or memory, ends the candidate and nothing else."""
    monkeypatch.setattr(
        tuning,
        "call_in_child",
        lambda function, *_, **__: (
            Outcome(value=SHARES)
            if function is tuning.shares
            else Outcome(failure="the process died (exit code -9)")
        ),
    )
    report = tune(tiny_folder, device="cpu")

    assert report.whole is None and report.plan.parts == {}
    assert {r.why for r in report.rows if r.verdict == "failed"} == {"the process died (exit code -9)"}


def test_a_budget_for_nothing_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """Where no candidate could be tried, nothing was found out: an error, and no plan is written."""
    acted(monkeypatch, 1.5)
    with pytest.raises(UsageError, match="too short to try anything"):
        tune(tiny_folder, device="cpu", budget_s=0.5)

    assert not list(plans.iterdir())


def test_of_two_as_fast_the_more_exact_is_chosen() -> None:
    """Within the noise of each other, precision decides; beyond it, speed."""
    exact, half, fast = row("a", 0.51, "exact"), row("b", 0.50), row("c", 0.20, "quantised")

    assert best_of([exact, half], "llm") is exact
    assert best_of([exact, half, fast], "llm") is fast
    assert best_of([replace(exact, verdict="same")], "llm") is None
    assert with_rank(half, {"llm": exact}, True).why == "a is as fast and more exact"
    assert with_rank(half, {"llm": fast}, True).why == "c is faster still"


@pytest.mark.slow
def test_no_such_device(plans: Path, tiny_folder: Path) -> None:
    """The error of the child is the error of the user."""
    with pytest.raises(UsageError, match="warp"):
        tune(tiny_folder, device="warp")


def test_a_model_that_cannot_be_used(plans: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """So are those that only loading finds."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    (folder / "flow.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="safetensors"):
        tune(folder, device="cpu")


def test_trials_have_the_threads_that_the_plan_holds_for(
    monkeypatch: pytest.MonkeyPatch, plans: Path, tiny_folder: Path
) -> None:
    """A program may have asked torch for others than a new process would take."""
    jobs = acted(monkeypatch, 1.4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    report = tune(tiny_folder, device="cpu")

    assert {job.threads for job in jobs} == {7}
    assert report.plan.made_for["threads"] == "7"


@pytest.mark.slow
def test_the_tiny_model_end_to_end(plans: Path, tiny_folder: Path) -> None:
    """Real processes, real candidates, a small budget: every row ends in a verdict, the plan is written."""
    report = tune(tiny_folder, device="cpu", budget_s=20.0, allow=("exact", "quantised"))

    assert all(r.verdict != "not tried" or r.why for r in report.rows)
    assert all(r.parity is None or r.parity.passed for r in report.rows)
    assert Plan.read(report.path) == report.plan
    assert sum(map(report.shares.share, report.shares.seconds)) == pytest.approx(1)
