"""Causes that show at lengths never seen before: whoever compiles, searches or records for each.

Speech comes in every length, and a benchmark of one length sees none of this. All three look alike from
outside, so each experiment switches off what the others are about.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.backend.torchscript import availability
from cosyrt.accel.contract import PARTS, Part
from cosyrt.errors import one_line
from cosyrt.lab.doctor.finding import Finding, Status
from cosyrt.lab.doctor.patient import LENGTHS, Patient

# Experiments that must not meet a length twice, in this process; `fresh` has the lengths of each.
RESPECIALISED, AGAIN, SEARCHED, UNSEARCHED = range(4)
EXECUTED = LENGTHS[:3]  # the executor records at the first, and compiles at the second
ORT_LENGTHS = (40, 52, 67, 83)  # frames
TIMES_SLOWER = 3.0  # a first call than a repeated one: oneDNN prepares convolutions, which comes to 2
LEAST_S = 1e-6  # below this a clock says nothing
SPECIALISED = ("prim::TensorExprGroup", "prim::FusionGroup", "prim::CudaFusionGroup")
OFF: list[tuple[str, int]] = [("STATIC", 0)]


def executor_settings(patient: Patient) -> Finding:
    """TorchScript's executor compiles for the shapes it has seen; the switch belongs to process or thread."""
    cause = "executor settings"
    there = availability()
    if not there.ok:
        return Finding(cause=cause, status="not applicable", seen=there.reason)
    runs = len(EXECUTED) * len(PARTS)
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        switched = _specialised(patient)  # first: what has been compiled once is executed, switch or not
    as_it_is = _specialised(patient)
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


def _specialised(patient: Patient) -> int:
    """How many runs, each of another length, executed a plan that holds compiled groups."""
    count = 0
    for part in PARTS:
        for tokens in EXECUTED:
            _mark()
            patient.seconds(part, tokens)
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
    """The executor's switches, as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        before = torch.jit.set_fusion_strategy(OFF)  # it tells what was there only when it is set
        torch.jit.set_fusion_strategy(before)
    depths = ", ".join(f"{kind} {depth}" for kind, depth in before)
    return f"fusion strategy {depths}"


def respecialisation(patient: Patient) -> Finding:
    """Something compiles or records for each length: Inductor, CUDA graphs, TensorRT, or who knows what."""
    cause = "re-specialisation per length"
    with _switched_off():
        first = {part: first_over_repeated(patient, part, RESPECIALISED) for part in PARTS}
        slow = [part for part in PARTS if first[part].ratio > TIMES_SLOWER]
        if not slow:
            most = max(first.values())
            seen = f"a length first seen takes {most.ratio:.1f} times as long as a repeated one at most"
            return Finding(cause=cause, status="ruled out", seen=seen)
        again = {part: first_over_repeated(patient, part, AGAIN) for part in slow}
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
    """What new lengths cost."""

    ratio: float  # first call over a repeated one, median over the lengths
    slow: int  # of them take more than TIMES_SLOWER times as long
    of: int


def fresh(experiment: int, part: Part) -> range:
    """Speech tokens. What runs the velocity runs the encoder too: the two need lengths of their own."""
    return range(11 + 2 * experiment + (part == "velocity"), 56, 9)


def first_over_repeated(patient: Patient, part: Part, experiment: int) -> FirstSeen:
    """Each length twice, one after another: the first over the second. The first length warms up."""
    return _first_seen([[patient.seconds(part, n) for _ in range(2)] for n in fresh(experiment, part)])


def _first_seen(seconds: list[list[float]]) -> FirstSeen:
    ratios = [(first + LEAST_S) / (second + LEAST_S) for first, second in seconds[1:]]
    return FirstSeen(median(ratios), sum(ratio > TIMES_SLOWER for ratio in ratios), len(ratios))


@contextmanager
def _switched_off() -> Iterator[None]:
    """Without TorchScript's specialising and cuDNN's search, which are causes of their own."""
    with torch.jit.optimized_execution(False), _searching(False):  # type: ignore[attr-defined]
        yield


@contextmanager
def _searching(on: bool) -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def algorithm_search(patient: Patient) -> Finding:
    """cuDNN, asked by torch or by ONNX Runtime, tries all its algorithms for each new length."""
    cause = "cuDNN or ONNX Runtime searches per length"
    searching = [session for session in patient.sessions if _searches(session)]
    if searching:
        return _of_session(patient, cause, searching)
    if patient.device.type != "cuda":
        return Finding(cause=cause, status="not applicable", seen=f"nothing asks cuDNN on {patient.device}")
    if not torch.backends.cudnn.benchmark:
        return Finding(cause=cause, status="ruled out", seen="torch.backends.cudnn.benchmark is off")
    on = {part: first_over_repeated(patient, part, SEARCHED) for part in PARTS}
    part = max(PARTS, key=lambda part: on[part])
    with _searching(False):
        off = first_over_repeated(patient, part, UNSEARCHED)
    seen = f"torch.backends.cudnn.benchmark is on; {part} takes {on[part].ratio:.1f} times as long at a new "
    if on[part].ratio <= TIMES_SLOWER:
        return Finding(cause=cause, status="ruled out", seen=f"{seen}length")
    return Finding(
        cause=cause,
        status="confirmed" if off.ratio <= TIMES_SLOWER else "suspected",
        seen=f"{seen}length as at a repeated one",
        experiment=f"the same, other lengths, switched off: {off.ratio:.1f} times",
        fix="torch.backends.cudnn.benchmark = False",
    )


def _searches(session: Any) -> bool:
    """Whether cuDNN is asked to try everything: that is what ONNX Runtime does if it is not told."""
    options = session.get_provider_options().get("CUDAExecutionProvider")
    return options is not None and options.get("cudnn_conv_algo_search", "EXHAUSTIVE") == "EXHAUSTIVE"


def _of_session(patient: Patient, cause: str, searching: list[Any]) -> Finding:
    seen = f"{len(searching)} of {len(patient.sessions)} sessions have cudnn_conv_algo_search EXHAUSTIVE"
    fix = 'open the session with ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})'
    try:
        table = [[_session_s(patient, searching[0], n) for _ in range(2)] for n in ORT_LENGTHS]
    except Exception as error:  # onnxruntime's exceptions have no common class
        reason = one_line(error, 120)
        experiment = f"it could not be run alone: {reason}"
        return Finding(cause=cause, status="suspected", seen=seen, experiment=experiment, fix=fix)
    found = _first_seen(table)
    experiment = f"run alone, a length first seen takes {found.ratio:.1f} times as long as a repeated one"
    status: Status = "confirmed" if found.ratio > TIMES_SLOWER else "ruled out"
    return Finding(cause=cause, status=status, seen=seen, experiment=experiment, fix=fix)


def _session_s(patient: Patient, session: Any, length: int) -> float:
    """One run on ones, every size that is open being that length."""
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    given = {
        one.name: np.ones([n if isinstance(n, int) else length for n in one.shape], kinds[one.type])
        for one in session.get_inputs()
    }
    begin = patient.clock()
    session.run(None, given)
    return patient.clock() - begin
