"""One candidate on trial, in a process of its own: built, checked against eager, timed beside it, judged.

`run_trial` runs in the child and gives back plain data, so that it can cross the border of the process;
`judged` makes one word and one sentence of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Literal

import numpy as np
import torch

from cosyrt.accel.contract import PARTS, Part, Precision
from cosyrt.accel.guard import guarded
from cosyrt.accel.plan import CallTable, Planned
from cosyrt.accel.registry import EAGER, accelerated, backend
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.child import Outcome
from cosyrt.lab.own_tokens import calls_of_rows, verify_engine
from cosyrt.lab.parity import DISTANCE, ORDER, Parity, verify
from cosyrt.lab.timing import SMALLEST_GAIN, Speedup, TimingConfig, Timings, interleaved
from cosyrt.lab.together import calls_together, crowd, verify_together
from cosyrt.lab.workload import (
    TIMED_LENGTHS,
    Length,
    StageCall,
    Workload,
    WorkloadUtterance,
    seconds_of,
    stage_calls,
)

EAGER_AGAIN = "eager again"  # the A/A run
CANDIDATE = "candidate"
SPOKEN_TOKENS = 60  # of an utterance that the model draws itself, for parity
STREAMED = Length(110, 31, True)  # an utterance of many chunks, for parity
LEAST_PASSES, MOST_PASSES = 3, 12
EAGER_WAYS = 3  # that are timed at each visit of a length: eager, eager again, the candidate
SEEN = 20  # utterances of a length that its first one is paid by
WHOLE = "whole"
EARNING_UTTERANCES = 20  # of a process, that must earn back what is built when it loads the model
UNNOTICED_BUILD_S = 2.0  # a build that takes less is forgiven

CandidateVerdict = Literal["chosen", "faster", "same", "slower", "wrong", "failed", "absent", "not tried"]
# utterance → seconds that some parts take for it
Measure = Callable[[WorkloadUtterance], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Some parts of a model to be tried, each with a backend."""

    folder: str | None
    device: str | None
    parts: Mapping[Part, str]
    seconds: float  # to be spent on timing
    lengths: tuple[Length, ...]  # that it is timed on
    threads: int  # of torch, in the process that tries
    whole: bool = False  # time everything that an utterance needs, and not these parts alone
    streams: int = 1  # that speak at once


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateTiming:
    """How fast a candidate is beside eager on repeated lengths, and what a length costs when first seen."""

    speedup: Speedup
    floor: float  # the A/A run's: what must be passed to be claimed
    first_call_s: float
    first_seen_s: float  # mean over the lengths, beyond the repeated
    repeated_s: float  # mean over the lengths
    cost_s: float  # mean an utterance when each length comes SEEN times
    plain_cost_s: float  # of eager, counted alike

    @classmethod
    def of(cls, timings: Timings) -> CandidateTiming:
        """Summarise the timings of eager, eager again and the candidate."""
        return cls(
            speedup=timings.speedup(CANDIDATE, EAGER),
            floor=timings.speedup(EAGER_AGAIN, EAGER).floor,
            first_call_s=timings.first_call_s(CANDIDATE),
            first_seen_s=float(np.mean(timings.first_seen_s(CANDIDATE))),
            repeated_s=float(np.mean(timings.repeated_s(CANDIDATE))),
            cost_s=timings.cost_s(CANDIDATE, SEEN),
            plain_cost_s=timings.cost_s(EAGER, SEEN),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What the child sends back."""

    build_s: float
    parity: Parity
    timed: CandidateTiming | None = None  # None: it was not right, so its speed does not matter
    calls: CallTable = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One line of the table: a candidate for a part, and what became of it."""

    part: Part | Literal["whole"]
    candidate: str
    precision: Precision
    verdict: CandidateVerdict
    why: str
    predicted: float  # how many times as fast a whole utterance should be, by the book
    parity: Parity | None = None
    timed: CandidateTiming | None = None
    build_s: float | None = None
    peak_bytes: int | None = None
    calls: CallTable | None = None

    @property
    def gain(self) -> float:
        """How many times cheaper than eager, lengths that are first seen included."""
        return 1.0 if self.timed is None else self.timed.plain_cost_s / self.timed.cost_s

    def planned(self, streams: int) -> Planned:
        """Reduce it to what the plan keeps."""
        return Planned(backend=self.candidate, speedup=self.gain, calls=self.calls or {}, streams=streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Where the time goes in eager."""

    seconds: dict[Part, float]  # of each part, for one utterance
    visit_s: dict[Part, float]  # what it took to measure each part once, on that utterance
    load_s: float  # until the model was loaded
    device: str  # what was meant by the device that was asked for

    def share(self, part: Part) -> float:
        """Share of a part in the time of all."""
        return self.seconds[part] / sum(self.seconds.values())


def shares(folder: str | None, device: str | None, threads: int, streams: int = 1) -> Shares:
    """Measure each part of an utterance in eager, once it is warm."""
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    model = Model.open(folder, device)
    load_s = time.perf_counter() - begin
    utterance = Workload(model).utterance(TIMED_LENGTHS[0])
    measure = {part: _measured(model, model.plain, (part,), streams) for part in PARTS}
    for part in PARTS:
        measure[part](utterance)
    seconds, visit_s = dict[Part, float](), dict[Part, float]()
    for part in PARTS:
        begin = time.perf_counter()
        seconds[part] = measure[part](utterance)
        visit_s[part] = time.perf_counter() - begin
    return Shares(seconds=seconds, visit_s=visit_s, load_s=load_s, device=str(model.device))


def run_trial(job: Job) -> Measurement:
    """Build the candidate, check it, and time it if it is right.

    Raises:
        MissingDependency, UsageError, ModelError: it cannot be built here.
    """
    torch.set_num_threads(job.threads)
    model = Model.open(job.folder, job.device)
    workload = Workload(model)
    begin = time.perf_counter()
    stages = _built(model, job)
    build_s = time.perf_counter() - begin
    parity = _parity(workload, job, stages)
    if not parity.passed:
        return Measurement(build_s=build_s, parity=parity)
    if model.device.type == "cuda":
        del stages  # makes room
        stages = _built(model, job)  # graphs recorded so far do without TF32, which eager is timed with
    kept: dict[str, list[StageCall]] = {}
    timing = CandidateTiming.of(_timings(workload, stages, job, kept))
    return Measurement(build_s=build_s, parity=parity, timed=timing, calls=_median_calls(kept))


def _built(model: Model, job: Job) -> Stages:
    return accelerated(dict(job.parts))(model)


def _parity(workload: Workload, job: Job, stages: Stages) -> Parity:
    """Check all parts of the job on an utterance of the model's own and on one streamed over many chunks.

    What goes through the flow is judged together, by the least exact of its backends.
    """
    utterances = [workload.spoken(0, SPOKEN_TOKENS), workload.utterance(STREAMED)]
    classes = {part: backend(name).precision for part, name in job.parts.items()}
    flow = [precision for part, precision in classes.items() if part != "llm"]
    checked = {DISTANCE[part]: part for part in classes}  # encode and velocity are followed alike
    results, many = [], crowd(workload, job.streams)
    for part in checked.values():
        precision = classes[part] if part == "llm" else max(flow, key=ORDER.index)
        if part == "llm" and stages.engine is not None:
            results.append(verify_engine(workload.model, precision, stages.engine, many))
            continue
        results.append(verify(workload.model, part, precision, stages, utterances))
        if job.streams > 1:
            results.append(verify_together(workload.model, part, precision, stages, many))
    return reduce(Parity.beside, results)


def _timings(workload: Workload, stages: Stages, job: Job, kept: dict[str, list[StageCall]]) -> Timings:
    """Time eager, eager again (A/A) and the candidate, whose calls are written to `kept`."""
    model = workload.model
    parts = tuple(PARTS) if job.whole else tuple(job.parts)
    if job.whole:  # as `cosyrt.load` will run it
        one = Planned(backend="", speedup=1.0, streams=job.streams)
        planned = {part: replace(one, backend=name) for part, name in job.parts.items()}
        stages = guarded(str(model.folder.path), model.plain, stages, planned)
    measured = partial(_measured, model, by_rows=stages.engine is not None)
    candidates = {
        EAGER: measured(model.plain, parts, job.streams),
        EAGER_AGAIN: measured(model.plain, parts, job.streams),
        CANDIDATE: measured(stages, parts, job.streams, kept),
    }
    utterances = [workload.utterance(length, number) for number, length in enumerate(job.lengths)]
    return timed_for(candidates, utterances, job.seconds)


def _measured(
    model: Model,
    stages: Stages,
    parts: tuple[Part, ...],
    streams: int,
    kept: dict[str, list[StageCall]] | None = None,
    *,
    by_rows: bool = False,
) -> Measure:
    """Make the measure of these parts for so many streams; every call is also written to `kept`.

    `by_rows` takes tokens in place of stages: what an engine that makes them itself is compared by.
    """

    def measure(utterance: WorkloadUtterance) -> float:
        total = 0.0
        for part in parts:
            if part == "llm" and by_rows:
                calls = calls_of_rows(model, stages, utterance, streams)
            elif streams > 1:
                calls = calls_together(model, stages, part, utterance, streams)
            else:
                calls = stage_calls(model, stages, part, utterance)
            total += seconds_of(model, part, utterance, calls)
            if kept is not None:
                for call in calls:
                    kept.setdefault(call.stage, []).append(call)
        return total

    return measure


def timed_for(candidates: dict[str, Measure], utterances: list[WorkloadUtterance], seconds: float) -> Timings:
    """Run interleaved passes for about that many seconds, at least a few.

    How many passes there is time for is seen from the first two.
    """
    cases = list(range(len(utterances)))
    measures = {name: _of_case(measure, utterances) for name, measure in candidates.items()}
    begin = time.perf_counter()
    first = interleaved(measures, cases, TimingConfig(early_passes=1, passes=1))
    spent = time.perf_counter() - begin
    passes = int(np.clip((seconds - spent) / (spent / 2), LEAST_PASSES, MOST_PASSES)) - 1
    rest = interleaved(measures, cases, TimingConfig(early_passes=0, passes=passes))
    steady = {
        name: np.concatenate([first.steady_s[name], rest.steady_s[name]], axis=1) for name in candidates
    }
    return Timings(early_s=first.early_s, steady_s=steady)


def _of_case(measure: Measure, utterances: list[WorkloadUtterance]) -> Callable[[int], float]:
    return lambda case: measure(utterances[case])


def _median_calls(kept: Mapping[str, list[StageCall]]) -> CallTable:
    """Take the median of the seconds of each stage and size, smallest size first."""
    table: CallTable = {}
    for stage, calls in kept.items():
        by_size: dict[int, list[float]] = {}
        for call in calls:
            by_size.setdefault(call.size, []).append(call.seconds)
        table[stage] = [(size, float(np.median(seconds))) for size, seconds in sorted(by_size.items())]
    return table


def amdahl(share: float, factor: float) -> float:
    """How many times as fast the whole is when a part of that share is so many times as fast."""
    return 1 / (1 - share + share / factor)


def too_small(share: float) -> str:
    """Why a part is not worth trying: gone altogether, it would not be missed. Empty if it is worth it."""
    most = amdahl(share, 1e9)
    if most > 1 + SMALLEST_GAIN:
        return ""
    return f"{share:.1%} of the work: even for nothing it would make an utterance {most:.3f} times as fast"


def judged(outcome: Outcome, *, kept: bool = False) -> dict[str, object]:
    """Fields of a `TrialResult` that follow from an outcome: all but names, precision and prediction.

    What was built is built again at every load, unless it is `kept`.
    """
    if outcome.failure is not None:
        return {"verdict": "failed", "why": outcome.failure}
    found: Measurement = outcome.value
    facts: dict[str, object] = {
        "parity": found.parity,
        "timed": found.timed,
        "build_s": found.build_s,
        "peak_bytes": outcome.peak_bytes,
        "calls": found.calls,
    }
    if found.timed is None:
        return facts | {"verdict": "wrong", "why": found.parity.why}
    verdict, why = _of_timing(found.timed, 0.0 if kept else found.build_s)
    return facts | {"verdict": verdict, "why": why}


def _of_timing(timed: CandidateTiming, build_s: float) -> tuple[CandidateVerdict, str]:
    verdict = timed.speedup.verdict(timed.floor)
    if verdict == "slower":
        return "slower", f"takes {1 / timed.speedup.median:.2f} times as long as eager"
    if verdict == "same":
        return "same", f"within the noise: here eager differs from itself by up to {timed.floor - 1:.0%}"
    if timed.cost_s >= timed.plain_cost_s:
        return "slower", (
            f"faster only on lengths it has seen; a new one costs {timed.first_seen_s:.2f} s more, "
            f"which {SEEN} utterances of it do not earn back"
        )
    saved_s = timed.plain_cost_s - timed.cost_s
    if build_s > max(UNNOTICED_BUILD_S, EARNING_UTTERANCES * saved_s):
        return "slower", (
            f"{saved_s:.2f} s less an utterance, but every load of the model builds it for {build_s:.0f} s, "
            f"which {EARNING_UTTERANCES} utterances do not earn back"
        )
    return "faster", ""
