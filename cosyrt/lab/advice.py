"""Which accelerations are worth a try on a machine, and why: by the book, until `cosyrt tune` has measured.

Each backend judges itself (`advice` in `accel/contract.py`); what is none of them is judged here. The
book is the memory that a model takes against what is there, the share of the work that an option touches
(Amdahl), and figures that others have published; docs/bench.md lists them with their sources. What a plan
made on this machine has measured outdoes the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from cosyrt.accel.contract import Advice, AdviceVerdict
from cosyrt.accel.footprint import (
    COSYVOICE_2,
    WEIGHT_PRECISIONS,
    Fit,
    Footprint,
    WeightPrecision,
    fit,
)
from cosyrt.accel.plan import Plan, plans_folder, surroundings
from cosyrt.accel.registry import BACKENDS
from cosyrt.machine.facts import Machine

Judge = Callable[[Machine, Footprint], Advice]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionAdvice:
    """Verdict on one option, with its reason and where both come from."""

    option: str
    verdict: AdviceVerdict
    reason: str
    basis: Literal["measured", "estimated"] = "estimated"


class MemoryNeed(NamedTuple):
    """Memory that a precision takes against what is free, in MB."""

    precision: WeightPrecision
    where: Literal["gpu", "cpu"]
    needed_mb: float
    free_mb: float | None
    room: Fit
    reading_rtf: float | None  # of the language model on that card, if it only read its weights


def memory_needs(machine: Machine, model: Footprint) -> list[MemoryNeed]:
    """Compare each precision with the first graphics card, or with the RAM where there is none."""
    return [_need(machine, model, name) for name in WEIGHT_PRECISIONS if name != _elsewhere(machine)]


def _elsewhere(machine: Machine) -> WeightPrecision:
    """The precision that this kind of device does not have: int8 is for CPUs, autocast for cards."""
    return "autocast" if machine.gpu is None else "int8"


def _need(machine: Machine, model: Footprint, name: WeightPrecision) -> MemoryNeed:
    gpu = machine.gpu
    if gpu is None:
        needed, free = model.cpu_mb(name), machine.ram_free_mb
        return MemoryNeed(name, "cpu", needed, free, fit(needed, free), None)
    needed, free = model.gpu_mb(name), gpu.free_mb
    rtf = model.reading_rtf(name, gpu.memory_gb_s) if gpu.memory_gb_s else None
    return MemoryNeed(name, "gpu", needed, free, fit(needed, free), rtf)


def advise(
    machine: Machine,
    model: Footprint = COSYVOICE_2,
    measured: Mapping[str, Advice] | None = None,
) -> list[OptionAdvice]:
    """Give every option its verdict; what was measured here, by option, outdoes the book."""
    known = measured or {}
    book = (OptionAdvice(option=name, **judge(machine, model)._asdict()) for name, judge in options().items())
    return [
        replace(each, **known[each.option]._asdict(), basis="measured") if each.option in known else each
        for each in book
    ]


def options() -> dict[str, Judge]:
    """Every option by its name: those of our backends, then what is none of them."""
    ours: dict[str, Judge] = {}
    for backend in BACKENDS.values():
        ours.setdefault(backend.option, backend.advice)
    return ours | {
        "fp16 as upstream has it (autocast)": _autocast,
        "int8 flow and vocoder": _int8_flow,
    }


def measured_here(folder: Path | None = None) -> dict[str, Advice]:
    """Advice by option from the plans that hold on this machine as it is."""
    now = surroundings(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    found: dict[str, list[str]] = {}
    for plan in _plans(folder or plans_folder()):
        model = plan.made_for.get("model", "")
        if plan.stale(now | {"model": model}):
            continue
        for part, planned in plan.parts.items():
            if planned.backend in BACKENDS:
                times = f"{planned.speedup:.2f} times as fast"
                reason = f"{planned.backend} made {part} of model {model[:8]} {times}"
                found.setdefault(BACKENDS[planned.backend].option, []).append(reason)
    return {option: Advice("use", "; ".join(reasons)) for option, reasons in found.items()}


def _plans(folder: Path) -> Iterator[Plan]:
    yield from filter(None, map(Plan.read, sorted(folder.glob("*.json"))))


def _autocast(machine: Machine, model: Footprint) -> Advice:
    """Judge what upstream calls fp16=True."""
    if machine.gpu is None:
        return Advice("impossible", "upstream switches it off without CUDA; half weights are ours")
    needed, free_mb = model.gpu_mb("autocast"), machine.gpu.free_mb
    reason = (
        f"it keeps float32 weights and adds 16-bit copies: {needed:.0f} MB, and casts at every call; "
        "slower than float32 wherever it was measured"
    )
    if fit(needed, free_mb) == "too large":
        reason += f". It does not fit the {free_mb:.0f} MB that are free{_spill(machine)}"
    return Advice("leave", reason)


def _spill(machine: Machine) -> str:
    if machine.is_windows:
        return ": since 536.40 the Windows driver then moves memory over the bus without a word, far slower"
    return " and fails"


def _int8_flow(machine: Machine, model: Footprint) -> Advice:
    """Judge quantised convolutions."""
    return Advice(
        "leave", "int8 convolutions were 10 times slower on CPUs where it was reported, and harm the sound"
    )
