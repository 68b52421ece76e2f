"""Causes that show at lengths never seen before: something compiles, records or searches for each of them.

Speech comes in every length, and a benchmark of one length sees none of this. From outside the causes look
alike, so each experiment switches off what the other is about.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cosyrt.accel.backend.torchscript import availability
from cosyrt.accel.contract import PARTS, Part
from cosyrt.lab.doctor.setup import SEEN_LENGTHS, Finding, Setup

# Experiments that must not meet a length twice, in this process; `fresh` has the lengths of each.
FIRST_EXPERIMENT, SECOND_EXPERIMENT = range(2)
EXECUTED = SEEN_LENGTHS[:3]  # the executor records at the first, and compiles at the second
TIMES_SLOWER = 3.0  # a first call than a repeated one: oneDNN prepares convolutions, which comes to 2
LEAST_S = 1e-6  # below this a clock says nothing
SPECIALISED = ("prim::TensorExprGroup", "prim::FusionGroup", "prim::CudaFusionGroup")
OFF: list[tuple[str, int]] = [("STATIC", 0)]


def executor_settings(setup: Setup) -> Finding:
    """Look for plans that TorchScript's executor compiles for the shapes it has seen."""
    cause = "executor settings"
    there = availability()
    if not there.ok:
        return Finding(cause=cause, status="not applicable", seen=there.reason)
    runs = len(EXECUTED) * len(PARTS)
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        switched = _specialised(setup)  # first: what has been compiled once is executed, switch or not
    as_it_is = _specialised(setup)
    if not as_it_is:
        return Finding(cause=cause, status="ruled out", seen=f"0 of {runs} runs executed a compiled plan")
    return Finding(
        cause=cause,
        status="confirmed" if switched < as_it_is else "suspected",
        seen=f"TorchScript executed plans compiled for shapes in {as_it_is} of {runs} runs; {_settings()}",
        experiment=f"before that, under torch.jit.optimized_execution(False): {switched} of {runs}",
        fix='load archives by cosyrt (--way torchscript, or accelerate=archives("fp32")), or call '
        'torch.jit.set_fusion_strategy([("STATIC", 0)]) before the first utterance',
    )


def _specialised(setup: Setup) -> int:
    """Count the runs, each of another length, that executed a plan with compiled groups."""
    count = 0
    for part in PARTS:
        for tokens in EXECUTED:
            _mark()
            setup.seconds(part, tokens)
            graph = str(torch.jit.last_executed_optimized_graph())  # type: ignore[attr-defined]
            count += any(group in graph for group in SPECIALISED)
    return count


def _mark() -> None:
    """Execute a graph without compiled groups: if another is the last one afterwards, it ran since."""
    with torch.jit.optimized_execution(True):  # type: ignore[attr-defined]
        _marker()(torch.zeros(1))


@cache
def _marker() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript as such; see docs/accel.md
        return torch.jit.script(_same)


def _same(x: Tensor) -> Tensor:
    return x


def _settings() -> str:
    """Name the executor's fusion strategy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        before = torch.jit.set_fusion_strategy(OFF)  # it tells what was there only when it is set
        torch.jit.set_fusion_strategy(before)
    depths = ", ".join(f"{kind} {depth}" for kind, depth in before)
    return f"fusion strategy {depths}"


def respecialisation(setup: Setup) -> Finding:
    """Look for what compiles or records for each length, such as Inductor, CUDA graphs or TensorRT."""
    cause = "re-specialisation per length"
    with _switched_off():
        first = {part: first_over_repeated(setup, part, FIRST_EXPERIMENT) for part in PARTS}
        slow = [part for part in PARTS if first[part].ratio > TIMES_SLOWER]
        if not slow:
            most = max(first.values())
            seen = f"a length first seen takes {most.ratio:.1f} times as long as a repeated one at most"
            return Finding(cause=cause, status="ruled out", seen=seen)
        again = {part: first_over_repeated(setup, part, SECOND_EXPERIMENT) for part in slow}
    part = max(slow, key=lambda part: first[part])
    one, two = first[part], again[part]
    return Finding(
        cause=cause,
        status="confirmed" if two.ratio > TIMES_SLOWER else "suspected",
        seen=f"{part}: {one.slow} of {one.of} lengths first seen take more than {TIMES_SLOWER:.0f} times as "
        f"long as repeated, in the median {one.ratio:.1f} times",
        experiment=f"other lengths, TorchScript's and cuDNN's switches off: {two.slow} of {two.of}, in the "
        f"median {two.ratio:.1f} times",
        fix=f"run {part} the plain way (cosyrt.load(…, plan=False)), or choose again with cosyrt tune, which "
        "counts what new lengths cost",
    )


class FirstSeen(NamedTuple):
    """Cost of lengths that are first seen."""

    ratio: float  # first call over a repeated one, median over the lengths
    slow: int  # of them take more than TIMES_SLOWER times as long
    of: int


def fresh(experiment: int, part: Part) -> range:
    """Lengths of an experiment; the velocity has its own, since what runs it runs the encoder too."""
    return range(11 + 2 * experiment + (part == "velocity"), 56, 9)


def first_over_repeated(setup: Setup, part: Part, experiment: int) -> FirstSeen:
    """Time each length twice in a row, and divide the first by the second; the first length warms up."""
    seconds = [[setup.seconds(part, tokens) for _ in range(2)] for tokens in fresh(experiment, part)]
    ratios = [(first + LEAST_S) / (second + LEAST_S) for first, second in seconds[1:]]
    return FirstSeen(median(ratios), sum(ratio > TIMES_SLOWER for ratio in ratios), len(ratios))


@contextmanager
def _switched_off() -> Iterator[None]:
    """Switch off TorchScript's specialising, a cause of its own, and cuDNN's search, a user's setting."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            yield
    finally:
        torch.backends.cudnn.benchmark = before
