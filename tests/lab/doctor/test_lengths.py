"""Whoever compiles or searches for each length: told apart, and told from a call that is merely cold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from cosyrt.accel.contract import PARTS, first_tensor
from cosyrt.lab.doctor.lengths import FIRST_EXPERIMENT, SECOND_EXPERIMENT, first_over_repeated, fresh
from cosyrt.lab.doctor.setup import SEEN_LENGTHS, SHORT, Setup
from tests.lab.doctor.injected import Clock, compiles_per_length, with_stage


def test_no_experiment_meets_a_length_of_another() -> None:
    """Encoder and velocity included: whatever runs the one runs the other."""
    experiments = (FIRST_EXPERIMENT, SECOND_EXPERIMENT)
    flow = [n for number in experiments for part in ("encode", "velocity") for n in fresh(number, part)]
    met = [*flow, *SEEN_LENGTHS]

    assert len(set(met)) == len(met)
    assert SHORT.speech_tokens in SEEN_LENGTHS
    assert all(len(fresh(number, part)) >= 5 for number in experiments for part in PARTS)


def test_the_very_first_call_is_warm_up(healthy: Setup, clock: Clock) -> None:
    """What is built once, and not for each length, is not held against the lengths."""
    built: list[bool] = []

    def encode(*args: Any) -> Tensor:
        clock.now += 0.1 if built else 60.0
        built.append(True)
        return healthy.stages.encode(*args)

    found = first_over_repeated(with_stage(healthy, "encode", encode), "encode", FIRST_EXPERIMENT)

    assert (found.ratio, found.slow) == (1, 0)


def test_the_velocity_is_slow_at_lengths_that_the_encoder_has_seen(healthy: Setup, clock: Clock) -> None:
    """Looking at one part leaves the lengths of another unseen."""
    setup = compiles_per_length(healthy, SimpleNamespace(costs=_costs(clock)))  # type: ignore[arg-type]
    of_encoder = first_over_repeated(setup, "encode", FIRST_EXPERIMENT)
    of_velocity = first_over_repeated(setup, "velocity", FIRST_EXPERIMENT)

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
