"""Timing: order, pairs, intervals and first-seen lengths, by a clock that only the candidates move."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.lab.timing import (
    Speedup,
    Summary,
    TimingConfig,
    Timings,
    interleaved,
    speedup,
    timed,
    total_speedup,
)

LENGTHS = [50, 100, 400]


class Clock:
    """Stands still until a candidate spends time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, int]] = []

    def __call__(self) -> float:
        return self.now

    def candidate(self, name: str, cost: Callable[[int, int], float]) -> Callable[[int], float]:
        """Spends `cost(length, how often it has seen that length)` seconds."""
        seen: dict[int, int] = {}

        def call(length: int) -> None:
            self.calls.append((name, length))
            self.now += cost(length, seen.get(length, 0))
            seen[length] = seen.get(length, 0) + 1

        return timed(call, clock=self)


def measured(**costs: Callable[[int, int], float]) -> tuple[Timings, Clock]:
    clock = Clock()
    candidates = {name: clock.candidate(name, cost) for name, cost in costs.items()}
    return interleaved(candidates, LENGTHS, TimingConfig(passes=6), clock=clock), clock


def test_a_twice_as_fast_candidate_is_found() -> None:
    """The ratio of the pairs is the ratio of the costs, whatever the lengths cost."""
    timings, _ = measured(eager=lambda n, _: 0.01 * n, fast=lambda n, _: 0.005 * n)
    found = timings.speedup("fast", over="eager")

    assert (found.median, found.low, found.high) == pytest.approx((2, 2, 2))
    assert found.saved_percent == pytest.approx(50)
    assert found.verdict(1.02) == "faster"
    assert timings.speedup("eager", over="fast").verdict(1.02) == "slower"


def test_a_drifting_machine_does_not_make_a_winner() -> None:
    """Candidates of the same cost stay the same while the machine becomes four times slower."""
    clock = Clock()
    slow = {"a": lambda n, seen: n * 4 ** (seen / 8), "b": lambda n, seen: n * 4 ** (seen / 8)}
    timings = interleaved({k: clock.candidate(k, v) for k, v in slow.items()}, LENGTHS, clock=clock)

    assert timings.speedup("b", over="a").median == pytest.approx(1)


def test_a_length_first_seen_is_told_from_a_repeated_one() -> None:
    """What a compiler takes at the first and second call of a length is no part of the repeated cost."""
    timings, _ = measured(
        eager=lambda n, _: 1.0, compiled=lambda n, seen: (3.0, 9.0)[seen] if seen < 2 else 0.5
    )

    assert timings.first_call_s("compiled") == 3
    assert timings.repeated_s("compiled") == pytest.approx([0.5] * 3)
    assert timings.first_seen_s("compiled") == pytest.approx([2.5 + 8.5] * 3)
    assert timings.first_seen_s("eager") == pytest.approx([0] * 3)
    assert timings.cost_s("compiled", seen=11) == pytest.approx(1.5)
    assert timings.speedup("compiled", over="eager").median == pytest.approx(2)


def test_candidates_run_side_by_side_in_changing_order() -> None:
    """Every length is visited by all before the next one; each comes first as often as the others."""
    _, clock = measured(a=lambda *_: 1.0, b=lambda *_: 1.0, c=lambda *_: 1.0)
    visits = [clock.calls[at : at + 3] for at in range(0, len(clock.calls), 3)]

    assert all(len({length for _, length in visit}) == 1 for visit in visits)
    assert all({name for name, _ in visit} == {"a", "b", "c"} for visit in visits)
    first = [visit[0][0] for visit in visits]
    assert {first.count(name) for name in "abc"} == {len(visits) // 3}


def test_the_budget_ends_it_after_whole_passes() -> None:
    """When the time is used up the least number of passes is still counted, and no half pass."""
    clock, heard = Clock(), []
    timings = interleaved(
        {"a": clock.candidate("a", lambda *_: 1.0)},
        LENGTHS,
        TimingConfig(early_passes=1, passes=50, least_passes=2, budget_s=1.0),
        clock=clock,
        on_pass=lambda done, of: heard.append((done, of)),
    )

    assert timings.steady_s["a"].shape == (3, 2)
    assert heard == [(1, 51), (2, 51), (3, 51)]


def test_work_is_settled_before_the_clock_is_read() -> None:
    """Work that only `settle` finishes counts for the call that began it."""
    clock, begun = Clock(), []

    def settle() -> None:
        clock.now += 0.25 * len(begun)
        begun.clear()

    candidate = timed(begun.append, clock=clock, settle=settle)
    timings = interleaved({"a": candidate}, LENGTHS, TimingConfig(passes=1))

    assert timings.steady_s["a"].tolist() == [[0.25]] * len(LENGTHS)


def test_seconds_may_come_from_anywhere() -> None:
    """A candidate that adds up the seconds of some of its work needs no clock to be read around it."""
    timings = interleaved({"a": lambda length: length / 2}, LENGTHS, TimingConfig(passes=2))

    assert timings.repeated_s("a").tolist() == [25, 50, 200]


def test_a_total_counts_the_few_that_are_very_slow() -> None:
    """One length of five that takes 46 times as long makes the total ten times slower, not the median."""
    before, after = np.ones((5, 1)), np.array([[1.0], [1], [46], [1], [1]])

    assert total_speedup(before, after).median == pytest.approx(0.1)
    assert speedup(before, after).median == 1
    found = total_speedup(2 * before, before)
    assert (found.median, found.low, found.high) == pytest.approx((2, 2, 2))


def test_an_a_a_run_sets_what_may_be_claimed() -> None:
    """On a noisy machine a small gain is not claimed; on a quiet one at least two percent are asked for."""
    random = np.random.default_rng(0)
    noisy = Timings(
        early_s={}, steady_s={name: random.lognormal(0, 0.3, (4, 8)) for name in ("eager", "eager again")}
    )
    floor = noisy.speedup("eager again", over="eager").floor

    assert floor > 1.05
    assert Speedup(median=1.03, low=1.01, high=1.04).verdict(floor) == "same"
    assert Speedup(median=1, low=1, high=1).floor == 1.02


def test_the_interval_covers_the_truth() -> None:
    """About 95 of the intervals of a hundred noisy measurements of a factor 1.5 hold it."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        before, after = random.lognormal(math.log(1.5), 0.2, (8, 8)), random.lognormal(0, 0.2, (8, 8))
        found = speedup(before, after, resamplings=200)
        held += found.low <= 1.5 <= found.high

    assert held >= 88


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50))
def test_a_summary_is_in_order(values: list[float]) -> None:
    """The median lies below p95, p95 below p99, all between the extremes."""
    of = Summary.of(values)

    assert min(values) <= of.median * (1 + 1e-9)
    assert of.median <= of.p95 <= of.p99 <= max(values) * (1 + 1e-9)
    assert of.p50 == of.median
