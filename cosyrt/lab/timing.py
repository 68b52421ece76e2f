"""Timing that a verdict can be built on: interleaved pairs over many lengths, medians, intervals, an A/A run.

Every visit of a length runs all candidates back to back, so that a busy moment of the machine touches all of
them (duet benchmarking, Bulej et al., ICPE 2020); their order alternates. The first passes over the lengths
are kept apart: what a length costs when it is first seen is a figure of its own, not warm-up to be thrown
away. Intervals come from drawing the lengths anew, and the visits within each (two-stage bootstrap). The
same callable under two names is the A/A run: its interval is the smallest difference that may be claimed.

Shapes: L lengths · P counted passes · E early passes.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Verdict = Literal["faster", "slower", "same"]
Case = TypeVar("Case", bound=Hashable)

RESAMPLINGS = 2_000
SMALLEST_GAIN = 0.02  # no quieter machine than this is believed


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConfig:
    """How long to measure."""

    early_passes: int = 2  # a just-in-time compiler records in the first and compiles in the second
    passes: int = 8
    least_passes: int = 3  # counted even when the time is used up
    budget_s: float = math.inf
    seed: int = 0  # of the order of the lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of seconds, or of anything else that is counted."""

    mean: float
    median: float
    deviation: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float] | Seconds) -> Summary:
        """From at least one value."""
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        mean, deviation = float(np.mean(values)), float(np.std(values))
        return cls(mean=mean, median=p50, deviation=deviation, p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speedup:
    """How many times as fast: above 1 is faster. With its 95 % interval."""

    median: float
    low: float
    high: float

    @property
    def saved_percent(self) -> float:
        """Of the time, by the median; negative where it takes longer."""
        return 100 * (1 - 1 / self.median)

    @property
    def floor(self) -> float:
        """Of an A/A pair: the factor that a speed-up must pass to be claimed."""
        return max(1 + SMALLEST_GAIN, self.high, 1 / self.low)

    def verdict(self, floor: float) -> Verdict:
        """Faster or slower only when the whole interval lies beyond the floor."""
        if self.low > floor:
            return "faster"
        return "slower" if self.high < 1 / floor else "same"

    def __str__(self) -> str:
        return f"{self.median:.2f}× ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What was measured: seconds by candidate."""

    early_s: dict[str, Seconds]  # [L, E] each
    steady_s: dict[str, Seconds]  # [L, P] each

    def repeated_s(self, name: str) -> Seconds:  # [L]
        """What each length costs when it has been seen before."""
        medians: Seconds = np.median(self.steady_s[name], axis=1)
        return medians

    def first_call_s(self, name: str) -> float:
        """The very first call, which may have to build something."""
        return float(self.early_s[name][0, 0])

    def first_seen_s(self, name: str) -> Seconds:  # [L]
        """What each length costs beyond the repeated until it is warm; at least 0."""
        beyond: Seconds = np.maximum(self.early_s[name] - self.repeated_s(name)[:, None], 0).sum(1)
        return beyond

    def cost_s(self, name: str, seen: int) -> float:
        """Mean seconds a call when each length comes `seen` times, its first included."""
        return float(np.mean(self.repeated_s(name) + self.first_seen_s(name) / seen))

    def speedup(self, name: str, over: str) -> Speedup:
        """Of repeated lengths, by pairs: the median ratio and its interval."""
        return speedup(self.steady_s[over], self.steady_s[name])


def speedup(
    before_s: Seconds,  # [L, P]
    after_s: Seconds,  # [L, P], measured beside it
    resamplings: int = RESAMPLINGS,
) -> Speedup:
    """The median ratio of the pairs, with the 95 % interval of a two-stage bootstrap."""
    assert before_s.shape == after_s.shape
    ratios = np.log(before_s) - np.log(after_s)
    drawn = np.concatenate(list(_medians_drawn(ratios, resamplings)))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Speedup(median=math.exp(np.median(ratios)), low=math.exp(float(low)), high=math.exp(float(high)))


def _medians_drawn(
    ratios: Seconds,  # [L, P]
    resamplings: int,
) -> Iterator[Seconds]:
    """Medians of samples drawn anew: lengths first, then visits of each; a hundred at a time."""
    lengths, passes = ratios.shape
    numbers = np.random.default_rng(0)
    for _ in range(0, resamplings, 100):
        of_length = numbers.integers(0, lengths, (100, lengths, 1))
        of_pass = numbers.integers(0, passes, (100, lengths, passes))
        yield np.median(ratios[of_length, of_pass].reshape(100, -1), axis=1)


def interleaved(
    candidates: Mapping[str, Callable[[Case], object]],
    cases: Sequence[Case],  # lengths, or whatever a call is given
    config: TimingConfig = TimingConfig(),
    *,
    clock: Callable[[], float] = time.perf_counter,
    settle: Callable[[], object] = lambda: None,
    on_pass: Callable[[int, int], object] = lambda done, of: None,
) -> Timings:
    """Time every candidate on every case, pass by pass.

    `settle` waits until all work is really done, such as `torch.cuda.synchronize`; it runs before the clock
    is read. `on_pass` hears how many passes are done of how many. When `budget_s` has passed, the pass at
    hand is the last, once `least_passes` have been counted.
    """
    assert len(set(cases)) == len(cases) > 0, "each length once"
    seconds: dict[str, dict[Case, list[float]]] = {name: {case: [] for case in cases} for name in candidates}
    begin, shuffled, of = clock(), random.Random(config.seed), config.early_passes + config.passes
    for number in range(of):
        order = list(cases) if number < config.early_passes else shuffled.sample(cases, len(cases))
        for index, case in enumerate(order):
            for name in _turn(list(candidates), number + index):
                seconds[name][case].append(_timed(candidates[name], case, clock, settle))
        on_pass(number + 1, of)
        least = number + 1 >= config.early_passes + config.least_passes
        if least and clock() - begin >= config.budget_s:
            break
    return _gathered(seconds, config.early_passes)


def _turn(names: list[str], visit: int) -> list[str]:
    """Forwards and backwards by turns, and each first as often as the others."""
    at = visit // 2 % len(names)
    names = names[at:] + names[:at]
    return names[::-1] if visit % 2 else names


def _timed(
    run: Callable[[Case], object], case: Case, clock: Callable[[], float], settle: Callable[[], object]
) -> float:
    settle()
    begin = clock()
    run(case)
    settle()
    return clock() - begin


def _gathered(seconds: dict[str, dict[Case, list[float]]], early: int) -> Timings:
    tables = {name: np.array(list(by_case.values())) for name, by_case in seconds.items()}
    return Timings(
        early_s={name: table[:, :early] for name, table in tables.items()},
        steady_s={name: table[:, early:] for name, table in tables.items()},
    )
