"""One candidate on trial, in a process of its own: built, held against eager, timed beside it.

What comes back is plain data, so that it can cross the border of the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch

from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.guard import guarded
from cosyrt.accel.plan import Planned
from cosyrt.accel.registry import EAGER, accelerated, backend
from cosyrt.engine.stages import Stages
from cosyrt.lab.parity import DISTANCE, ORDER, Parity, verify
from cosyrt.lab.timing import Speedup, TimingConfig, Timings, interleaved
from cosyrt.lab.workload import LENGTHS, Call, Length, Subject, Utterance, calls_of, seconds_of

AGAIN = "eager again"  # the A/A run
SPOKEN_TOKENS = 60  # of an utterance that the model draws itself, for parity
LEAST_PASSES, MOST_PASSES = 3, 12
SEEN = 20  # utterances of a length that its first one is paid by


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be tried: some parts of a model, each with a backend."""

    folder: str | None
    device: str | None
    parts: Mapping[Part, str]
    seconds: float  # to be spent on timing
    lengths: int  # how many of LENGTHS
    threads: int  # of torch, in the process that tries
    whole: bool = False  # time everything that an utterance needs, and not these parts alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How fast it is beside eager, on repeated lengths, and what a length costs when it is first seen."""

    speedup: Speedup
    floor: float  # the A/A run's: what must be passed to be claimed
    first_call_s: float
    first_seen_s: float  # mean over the lengths, beyond the repeated
    repeated_s: float  # mean over the lengths
    cost_s: float  # mean an utterance when each length comes SEEN times
    plain_cost_s: float  # the same of eager

    @classmethod
    def of(cls, timings: Timings, name: str) -> Timed:
        """Of the candidate of that name."""
        return cls(
            speedup=timings.speedup(name, EAGER),
            floor=timings.speedup(AGAIN, EAGER).floor,
            first_call_s=timings.first_call_s(name),
            first_seen_s=float(np.mean(timings.first_seen_s(name))),
            repeated_s=float(np.mean(timings.repeated_s(name))),
            cost_s=timings.cost_s(name, SEEN),
            plain_cost_s=timings.cost_s(EAGER, SEEN),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the trial came to."""

    build_s: float
    parity: Parity
    timed: Timed | None = None  # None: it was not right, so its speed does not matter
    calls: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict
    )  # stage → (size, seconds) of calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Where the time of the plain way goes."""

    seconds: dict[Part, float]  # of each part, for one utterance
    pass_s: float  # what one pass over one length of all parts took to measure
    device: str  # what was meant by the device that was asked for

    def share(self, part: Part) -> float:
        """Of the whole."""
        return self.seconds[part] / sum(self.seconds.values())


def shares(folder: str | None, device: str | None, threads: int) -> Shares:
    """Measure each part of one utterance of the plain way, once it is warm."""
    torch.set_num_threads(threads)
    subject = Subject.open(folder, device)
    said = subject.utterance(LENGTHS[0])
    measure = _measured(subject, subject.plain, tuple(PARTS))
    measure(said)
    begin = time.perf_counter()
    seconds = {part: _measured(subject, subject.plain, (part,))(said) for part in PARTS}
    return Shares(seconds=seconds, pass_s=time.perf_counter() - begin, device=subject.pipeline.device)


def trial(job: Job) -> Result:
    """Build, verify, and time what is right.

    Raises:
        MissingDependency, UsageError, ModelError: it cannot be built here.
    """
    torch.set_num_threads(job.threads)
    subject = Subject.open(job.folder, job.device)
    begin = time.perf_counter()
    stages = _built(subject, job)
    build_s = time.perf_counter() - begin
    parity = _parity(subject, job, stages)
    if not parity.passed:
        return Result(build_s=build_s, parity=parity)
    if subject.model.device.type == "cuda":
        del stages  # makes room
        stages = _built(subject, job)  # graphs recorded so far do without TF32, which eager is timed with
    kept: dict[str, list[Call]] = {}
    timings = _timings(subject, stages, job, kept)
    return Result(build_s=build_s, parity=parity, timed=Timed.of(timings, "candidate"), calls=_typical(kept))


def _timings(subject: Subject, stages: Stages, job: Job, kept: dict[str, list[Call]]) -> Timings:
    """Of eager, eager again and the candidate; its calls are written to `kept`."""
    parts = tuple(PARTS) if job.whole else tuple(job.parts)
    if job.whole:  # as `cosyrt.load` will run it
        planned = {part: Planned(backend=name, speedup=1.0) for part, name in job.parts.items()}
        stages = guarded(str(subject.model.folder.path), subject.plain, stages, planned)
    candidates = {
        EAGER: _measured(subject, subject.plain, parts),
        AGAIN: _measured(subject, subject.plain, parts),
        "candidate": _measured(subject, stages, parts, kept),
    }
    said = [subject.utterance(length, number) for number, length in enumerate(LENGTHS[: job.lengths])]
    return timed(candidates, said, job.seconds)


def _built(subject: Subject, job: Job) -> Stages:
    return accelerated(dict(job.parts))(subject.model)


def _parity(subject: Subject, job: Job, stages: Stages) -> Parity:
    """Of all parts of the job: an utterance of the model's own, and one streamed over many chunks.

    What goes through the flow is judged together, by the least exact of its backends.
    """
    said = [subject.spoken(0, SPOKEN_TOKENS), subject.utterance(Length(110, 31, True))]
    classes = {part: backend(name).precision for part, name in job.parts.items()}
    after = [kind for part, kind in classes.items() if part != "llm"]
    judged = {DISTANCE[part]: part for part in classes}  # encode and velocity are followed the same way
    verdicts = [
        verify(subject, part, classes[part] if part == "llm" else max(after, key=ORDER.index), stages, said)
        for part in judged.values()
    ]
    return reduce(Parity.beside, verdicts)


Measure = Callable[[Utterance], float]


def _measured(
    subject: Subject, stages: Stages, parts: tuple[Part, ...], kept: dict[str, list[Call]] | None = None
) -> Measure:
    """Utterance → seconds that these parts take for it; every call is also written to `kept`."""

    def measure(said: Utterance) -> float:
        total = 0.0
        for part in parts:
            calls = calls_of(subject, stages, part, said)
            total += seconds_of(subject, part, said, calls)
            if kept is not None:
                for call in calls:
                    kept.setdefault(call.stage, []).append(call)
        return total

    return measure


def timed(candidates: dict[str, Measure], said: list[Utterance], seconds: float) -> Timings:
    """Interleaved passes for about that many seconds, at least a few.

    What is measured is the time within the parts, so the clock is the sum of that, and how many passes there
    is time for is seen from the first two.
    """
    clock = _Sum()
    cases = list(range(len(said)))
    runs = {name: clock.adding(measure, said) for name, measure in candidates.items()}
    begin = time.perf_counter()
    first = interleaved(runs, cases, TimingConfig(early_passes=1, passes=1), clock=clock.read)
    spent = time.perf_counter() - begin
    passes = int(np.clip((seconds - spent) / (spent / 2), LEAST_PASSES, MOST_PASSES)) - 1
    rest = interleaved(runs, cases, TimingConfig(early_passes=0, passes=passes), clock=clock.read)
    steady = {
        name: np.concatenate([first.steady_s[name], rest.steady_s[name]], axis=1) for name in candidates
    }
    return Timings(early_s=first.early_s, steady_s=steady)


class _Sum:
    """A clock that goes only while a part is at work."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def adding(self, measure: Measure, said: list[Utterance]) -> Callable[[int], None]:
        def run(case: int) -> None:
            self.seconds += measure(said[case])

        return run

    def read(self) -> float:
        return self.seconds


def _typical(kept: Mapping[str, list[Call]]) -> dict[str, list[tuple[int, float]]]:
    """Of each stage and size the median of its calls' seconds, smallest size first."""
    table: dict[str, list[tuple[int, float]]] = {}
    for stage, calls in kept.items():
        by_size: dict[int, list[float]] = {}
        for call in calls:
            by_size.setdefault(call.size, []).append(call.seconds)
        table[stage] = [(size, float(np.median(seconds))) for size, seconds in sorted(by_size.items())]
    return table
