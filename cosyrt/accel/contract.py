"""The contract of a backend: it takes a model and gives its stages with those of one part replaced.

Each backend is one file of `backend/` and ends in `BACKENDS`, one value or a few; `registry.py` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.families import Family
from cosyrt.machine.facts import Machine
from cosyrt.models.velocity import FlowInputs

Part = Literal["llm", "encode", "velocity", "vocode"]
# What differs from float32: the order of sums; 16-bit weights and activations; weights of 8 bits or fewer.
Precision = Literal["exact", "half", "quantised"]

# The stages that share weights and state, and so can only be replaced together.
PARTS: dict[Part, tuple[str, ...]] = {
    "llm": ("new_cache", "prefill", "step", "read"),
    "encode": ("encode",),
    "velocity": ("velocity",),
    "vocode": ("pitch", "excite", "vocode"),
}


class Availability(NamedTuple):
    """Answer of a backend: it can be used here, or why not and what to do."""

    ok: bool
    reason: str = ""


AdviceVerdict = Literal["use", "try", "leave", "impossible"]


class Advice(NamedTuple):
    """A verdict by the book: what is worth a try on a machine, and why."""

    verdict: AdviceVerdict
    reason: str


NO_CUDA = Advice("impossible", "there is no NVIDIA graphics card")
MEASURE = "cosyrt tune tells"  # ends a reason that only a measurement can settle

# (a part, a model) → the model's stages with those of the part replaced
Build = Callable[[Part, Model], Stages]


def any_family(part: Part, family: Family) -> str:
    """The refusal of a backend that runs its parts of every family: none."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One way to run some parts of a model faster.

    A backend judges itself. `availability` looks at this process and device, `refusal` at a family of models.
    `advice` and `predicts` are by the book, before anything is measured: whether it is worth a try on a
    machine that may be described only, and how many times as fast a part should become on a device, which
    orders the candidates and stands beside the measured figure. What is not `kept` is built again by every
    process, so its gain must earn that back. A step of more `rows` than it takes is split into several calls.
    """

    name: str
    precision: Precision
    parts: tuple[Part, ...]
    availability: Callable[[torch.device], Availability]
    build: Build
    refusal: Callable[[Part, Family], str] = any_family  # why it cannot run a part; empty if it can
    predicts: Callable[[torch.device], float]
    option: str  # what `cosyrt device` calls it; several backends may be one option
    advice: Callable[[Machine, Footprint], Advice]
    kept: bool = False  # what it builds is there when the model is loaded again
    least_streams: int = 1  # for fewer it is not tried: there is nothing in it for one
    start_s: float = 0.0  # that a process of its own takes to start, at every load
    rows: int | None = 1  # of a step in one call, it is asked for no more; None: as many as there are


def size_of(stage: str, args: Sequence[Any]) -> int:
    """Number that the cost of a call grows with: positions a step attends to, else values of its input."""
    if stage == "step":
        return int(args[2].shape[-1])
    return first_tensor(args).numel()


def first_tensor(args: Sequence[Any]) -> Tensor:
    """First tensor of the arguments of a stage."""
    tensor: Tensor = args[0].x if isinstance(args[0], FlowInputs) else args[0]
    return tensor


def replaced(stages: Stages, part: Part, other: Stages) -> Stages:
    """The stages, with those of one part taken from the other ones."""
    given = {name: getattr(other, name) for name in PARTS[part]}
    return stages.replacing(**given)
