"""Timing that a verdict can be built on: interleaved pairs over many lengths, medians, intervals, an A/A run.

A candidate is a callable that returns the seconds it took: `timed` makes one of any call by the clock, others
add up the seconds of what they measure.

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
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
# Which lengths and which passes of them make each of some resampled sets: int [samples, L * P] both
Draw = tuple[NDArray[np.int64], NDArray[np.int64]]
SpeedVerdict = Literal["faster", "slower", "same"]
CaseT = TypeVar("CaseT", bound=Hashable)

RESAMPLINGS, RESAMPLINGS_AT_ONCE = 2_000, 100
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
    """Summary statistics of a sample."""

    mean: float
    median: float
    deviation: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float] | Seconds) -> Summary:
        """Summarise at least one value."""
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
        """Time saved by the median, in percent; negative where it takes longer."""
        return 100 * (1 - 1 / self.median)

    @property
    def floor(self) -> float:
        """Factor that a speed-up must pass to be claimed, if this is the speed-up of an A/A run."""
        return max(1 + SMALLEST_GAIN, self.high, 1 / self.low)

    def verdict(self, floor: float) -> SpeedVerdict:
        """Call it faster or slower only when the whole interval lies beyond the floor."""
        if self.low > floor:
            return "faster"
        return "slower" if self.high < 1 / floor else "same"

    def __str__(self) -> str:
        return f"{self.median:.2f}× ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds that were measured, by candidate."""

    early_s: dict[str, Seconds]  # [L, E] each
    steady_s: dict[str, Seconds]  # [L, P] each

    def repeated_s(self, name: str) -> Seconds:  # [L]
        """Median seconds of each length once it has been seen."""
        medians: Seconds = np.median(self.steady_s[name], axis=1)
        return medians

    def first_call_s(self, name: str) -> float:
        """Seconds of the very first call, which may have to build something."""
        return float(self.early_s[name][0, 0])

    def first_seen_s(self, name: str) -> Seconds:  # [L]
        """Extra seconds that each length costs until it is warm; at least 0."""
        beyond: Seconds = np.maximum(self.early_s[name] - self.repeated_s(name)[:, None], 0).sum(1)
        return beyond

    def cost_s(self, name: str, seen: int) -> float:
        """Mean seconds a call when each length comes `seen` times, its first included."""
        return float(np.mean(self.repeated_s(name) + self.first_seen_s(name) / seen))

    def speedup(self, name: str, over: str) -> Speedup:
        """Median ratio of the pairs of repeated lengths, and its interval."""
        return speedup(self.steady_s[over], self.steady_s[name])


def speedup(
    before_s: Seconds,  # [L, P]
    after_s: Seconds,  # [L, P], measured beside it
    resamplings: int = RESAMPLINGS,
) -> Speedup:
    """Compute the median ratio of the pairs, with its interval."""
    assert before_s.shape == after_s.shape
    ratios = np.log(before_s) - np.log(after_s)
    medians = [np.median(ratios[drawn], axis=1) for drawn in _resampled(ratios.shape, resamplings)]
    return _speedup(float(np.median(ratios)), medians)


def total_speedup(
    before_s: Seconds,  # [L, P]
    after_s: Seconds,  # [L, P], measured beside it
    resamplings: int = RESAMPLINGS,
) -> Speedup:
    """Compute the ratio of the totals of all lengths, with its interval: a few very slow ones count."""
    assert before_s.shape == after_s.shape

    def log_ratios(drawn: Draw) -> Seconds:
        logs: Seconds = np.log(before_s[drawn].sum(axis=1)) - np.log(after_s[drawn].sum(axis=1))
        return logs

    resampled = map(log_ratios, _resampled(before_s.shape, resamplings))
    return _speedup(math.log(before_s.sum() / after_s.sum()), resampled)


def _speedup(log_ratio: float, resampled: Iterable[Seconds]) -> Speedup:
    """Add the 95 % interval of resampled logarithms to the logarithm of a ratio."""
    low, high = np.percentile(np.concatenate(list(resampled)), (2.5, 97.5))
    return Speedup(median=math.exp(log_ratio), low=math.exp(float(low)), high=math.exp(float(high)))


def _resampled(shape: tuple[int, ...], resamplings: int) -> Iterator[Draw]:
    """Draw samples anew, in two stages: lengths first, then passes of each; a hundred samples at a time."""
    lengths, passes = shape
    numbers = np.random.default_rng(0)
    for _ in range(0, resamplings, RESAMPLINGS_AT_ONCE):
        of_length = numbers.integers(0, lengths, (RESAMPLINGS_AT_ONCE, lengths, 1)).repeat(passes, axis=2)
        of_pass = numbers.integers(0, passes, (RESAMPLINGS_AT_ONCE, lengths, passes))
        yield of_length.reshape(len(of_length), -1), of_pass.reshape(len(of_pass), -1)


def timed(
    run: Callable[[CaseT], object],
    *,
    clock: Callable[[], float] = time.perf_counter,
    settle: Callable[[], object] = lambda: None,
) -> Callable[[CaseT], float]:
    """Make a call return the seconds that it takes.

    `settle` waits until all work is really done, such as `torch.cuda.synchronize`; it runs before the clock
    is read.
    """

    def seconds(case: CaseT) -> float:
        settle()
        begin = clock()
        run(case)
        settle()
        return clock() - begin

    return seconds


def interleaved(
    candidates: Mapping[str, Callable[[CaseT], float]],
    cases: Sequence[CaseT],  # lengths, or whatever a call is given
    config: TimingConfig = TimingConfig(),
    *,
    clock: Callable[[], float] = time.perf_counter,
    on_pass: Callable[[int, int], object] = lambda done, of: None,
) -> Timings:
    """Run every candidate on every case, pass by pass, and gather the seconds that each returns.

    `on_pass` is told how many passes are done of how many. When `budget_s` has passed by the clock, the pass
    at hand is the last, once `least_passes` have been counted.
    """
    assert len(set(cases)) == len(cases) > 0, "each length once"
    seconds: dict[str, dict[CaseT, list[float]]] = {name: {case: [] for case in cases} for name in candidates}
    begin, shuffled, of = clock(), random.Random(config.seed), config.early_passes + config.passes
    for number in range(of):
        order = list(cases) if number < config.early_passes else shuffled.sample(cases, len(cases))
        for index, case in enumerate(order):
            for name in _rotated(list(candidates), number + index):
                seconds[name][case].append(candidates[name](case))
        on_pass(number + 1, of)
        least = number + 1 >= config.early_passes + config.least_passes
        if least and clock() - begin >= config.budget_s:
            break
    return _gathered(seconds, config.early_passes)


def _rotated(names: list[str], visit: int) -> list[str]:
    """Order the candidates of a visit: forwards and backwards by turns, each first as often as the others."""
    at = visit // 2 % len(names)
    names = names[at:] + names[:at]
    return names[::-1] if visit % 2 else names


def _gathered(seconds: dict[str, dict[CaseT, list[float]]], early: int) -> Timings:
    tables = {name: np.array(list(by_case.values())) for name, by_case in seconds.items()}
    return Timings(
        early_s={name: table[:, :early] for name, table in tables.items()},
        steady_s={name: table[:, early:] for name, table in tables.items()},
    )
