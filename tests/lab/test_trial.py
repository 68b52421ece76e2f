"""A candidate on trial: what it is checked and timed with, and the verdict in one word and one sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cosyrt.accel.contract import Part
from cosyrt.lab import trial
from cosyrt.lab.child import Outcome
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.timing import Speedup
from cosyrt.lab.trial import CandidateTiming, Job, Measurement, amdahl, judged, too_small
from cosyrt.lab.workload import TIMED_LENGTHS

RIGHT = Parity(precision="exact", distances=Distances())
WRONG = Parity(precision="exact", distances=Distances(), why="call: 1 apart")


@pytest.mark.parametrize(
    ("device", "verdict", "builds"), [("cuda", RIGHT, 2), ("cuda", WRONG, 1), ("cpu", RIGHT, 1)]
)
def test_what_was_recorded_while_verifying_is_not_timed(
    device: str, verdict: Parity, builds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph keeps the arithmetic that it was recorded with; users have another. A CPU records nothing."""
    built: list[int] = []
    timed: list[Any] = []

    def accelerate(*given: Any) -> Any:
        built.append(len(built))
        return SimpleNamespace(engine=None, number=built[-1])

    model = SimpleNamespace(device=torch.device(device), plain="plain")
    workload = SimpleNamespace(model=model, utterance=lambda *length: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # it would outlive the test
    monkeypatch.setattr(trial, "Model", SimpleNamespace(open=lambda *asked: model))
    monkeypatch.setattr(trial, "Workload", lambda model: workload)
    monkeypatch.setattr(trial, "accelerated", lambda names: accelerate)
    monkeypatch.setattr(trial, "_parity", lambda *given: verdict)
    monkeypatch.setattr(trial, "_measured", lambda model, stages, *rest, **more: timed.append(stages))
    monkeypatch.setattr(trial, "timed_for", lambda *given: None)
    monkeypatch.setattr(CandidateTiming, "of", lambda *given: None)
    trial.run_trial(
        Job(folder=None, device=device, parts={"velocity": "cudagraphs"}, seconds=1.0, lengths=(), threads=1)
    )

    assert built == list(range(builds))
    assert [getattr(each, "number", each) for each in timed] == (
        ["plain", "plain", builds - 1] if verdict.passed else []
    )


def timed(low: float, high: float, *, first_seen_s: float = 0.0, cost_s: float = 0.5) -> CandidateTiming:
    return CandidateTiming(
        speedup=Speedup(median=(low + high) / 2, low=low, high=high),
        floor=1.05,
        first_call_s=1.0,
        first_seen_s=first_seen_s,
        repeated_s=0.5,
        cost_s=cost_s,
        plain_cost_s=1.0,
    )


def verdict(
    found: CandidateTiming | None, parity: Parity = RIGHT, *, build_s: float = 1.0, kept: bool = False
) -> tuple[object, str]:
    result = Measurement(build_s=build_s, parity=parity, timed=found)
    facts = judged(Outcome(value=result, peak_bytes=7), kept=kept)
    return facts["verdict"], str(facts["why"])


def test_each_end_has_its_word() -> None:
    """Faster, within the noise, slower, fast only on what it has seen, wrong, failed."""
    assert verdict(timed(1.5, 1.6)) == ("faster", "")
    assert verdict(timed(1.01, 1.2)) == (
        "same",
        "within the noise: here eager differs from itself by up to 5%",
    )
    assert verdict(timed(0.4, 0.6)) == ("slower", "takes 2.00 times as long as eager")
    assert verdict(timed(1.5, 1.6, first_seen_s=30.0, cost_s=2.0))[1].startswith("faster only on lengths")
    wrong = Parity(precision="half", distances=Distances(call=1.0), why="call: 1 apart")
    assert verdict(None, wrong) == ("wrong", "call: 1 apart")
    assert judged(Outcome(failure="it took too long"))["verdict"] == "failed"


def test_what_every_load_builds_must_be_earned_back() -> None:
    """Half a second an utterance pays for ten seconds of building, not for eleven; what is kept is free."""
    assert verdict(timed(1.5, 1.6), build_s=9.9)[0] == "faster"
    assert verdict(timed(1.5, 1.6), build_s=11.0) == (
        "slower",
        "0.50 s less an utterance, but every load of the model builds it for 11 s, "
        "which 20 utterances do not earn back",
    )
    assert verdict(timed(1.5, 1.6), build_s=300.0, kept=True)[0] == "faster"
    assert verdict(timed(1.5, 1.6, cost_s=0.9999), build_s=1.9)[0] == "faster"


def test_amdahl() -> None:
    """Half the work twice as fast makes the whole 4/3 as fast; one percent is not worth trying."""
    assert amdahl(0.5, 2.0) == pytest.approx(4 / 3)
    assert too_small(0.01).startswith("1.0% of the work")
    assert too_small(0.10) == ""


@pytest.mark.parametrize("part", ["llm", "velocity"])
def test_streams_are_checked_and_timed_together(tiny_folder: Path, part: Part) -> None:
    """A trial of two streams runs the batch: its parity is right, and its calls are those of both."""
    threads = torch.get_num_threads()
    job = Job(
        folder=str(tiny_folder),
        device="cpu",
        parts={part: "bf16"},
        seconds=0.1,
        lengths=(TIMED_LENGTHS[2],),
        threads=threads,
        streams=2,
    )
    found = trial.run_trial(job)

    assert found.parity.passed and found.timed is not None
    assert found.calls.keys() == ({"prefill", "step"} if part == "llm" else {"velocity"})
