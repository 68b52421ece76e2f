"""Whoever compiles or searches for each length: told apart, and told from a call that is merely cold."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, first_tensor
from cosyrt.lab.doctor.lengths import (
    AGAIN,
    RESPECIALISED,
    SEARCHED,
    UNSEARCHED,
    algorithm_search,
    first_over_repeated,
    fresh,
)
from cosyrt.lab.doctor.patient import LENGTHS, SHORT, Patient
from tests.lab.doctor.injected import Clock, SearchingSession, compiles_per_length, with_stage


def test_no_experiment_meets_a_length_of_another() -> None:
    """Encoder and velocity included: whatever runs the one runs the other."""
    experiments = (RESPECIALISED, AGAIN, SEARCHED, UNSEARCHED)
    flow = [n for number in experiments for part in ("encode", "velocity") for n in fresh(number, part)]
    met = [*flow, *LENGTHS]

    assert len(set(met)) == len(met)
    assert SHORT.speech_tokens in LENGTHS
    assert all(len(fresh(number, part)) >= 5 for number in experiments for part in PARTS)


def test_the_very_first_call_is_warm_up(healthy: Patient, clock: Clock) -> None:
    """What is built once, and not for each length, is not held against the lengths."""
    built: list[bool] = []

    def encode(*args: Any) -> Tensor:
        clock.now += 0.1 if built else 60.0
        built.append(True)
        return healthy.stages.encode(*args)

    found = first_over_repeated(with_stage(healthy, "encode", encode), "encode", RESPECIALISED)

    assert (found.ratio, found.slow) == (1, 0)


def test_the_velocity_is_slow_at_lengths_that_the_encoder_has_seen(healthy: Patient, clock: Clock) -> None:
    """Looking at one part leaves the lengths of another unseen."""
    patient = compiles_per_length(healthy, SimpleNamespace(costs=_costs(clock)))  # type: ignore[arg-type]
    of_encoder = first_over_repeated(patient, "encode", RESPECIALISED)
    of_velocity = first_over_repeated(patient, "velocity", RESPECIALISED)

    assert of_encoder.ratio == 1
    assert of_velocity.ratio == pytest.approx(10, rel=0.01)
    assert of_velocity.slow == of_velocity.of


def _costs(clock: Clock) -> Any:
    def costs(stage: Any, seconds: Any) -> Any:
        def call(*args: Any) -> Tensor:
            clock.now += seconds(first_tensor(args))
            return stage(*args)

        return call

    return costs


def test_cudnn_searching_is_told_by_switching_it_off(
    healthy: Patient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a card with the benchmark on, new lengths are slow, and without it not; it is put back."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    seen: set[torch.Size] = set()

    def vocode(mel: Tensor, *args: Any) -> Tensor:
        clock.now += 0.1 if mel.shape in seen or not torch.backends.cudnn.benchmark else 2.0
        seen.add(mel.shape)
        return healthy.stages.vocode(mel, *args)

    patient = replace(with_stage(healthy, "vocode", vocode), device=torch.device("cuda"))
    found = algorithm_search(patient)

    assert (found.status, found.fix) == ("confirmed", "torch.backends.cudnn.benchmark = False")
    assert "vocode takes 20.0 times" in found.seen and found.experiment.endswith("1.0 times")
    assert torch.backends.cudnn.benchmark
    assert algorithm_search(replace(patient, stages=healthy.stages)).status == "ruled out"
    assert algorithm_search(healthy).status == "not applicable"


def test_a_session_that_cannot_be_run_alone_stays_under_suspicion(healthy: Patient, clock: Clock) -> None:
    """What the session says is in the report."""

    class Failing(SearchingSession):
        def run(self, names: None, given: dict[str, Any]) -> list[Any]:
            raise RuntimeError("two inputs\nof different lengths")

    found = algorithm_search(replace(healthy, sessions=(Failing(clock),)))

    assert found.status == "suspected"
    assert found.experiment.endswith("two inputs of different lengths")
