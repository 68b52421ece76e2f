"""What the doctor examines: a model, the way it is run, and what there is around it."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cosyrt.accel.backend.torchscript import archives as by_archives
from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.plan import fitting
from cosyrt.accel.registry import EAGER, accelerated
from cosyrt.accel.torchscript.archive import NAME
from cosyrt.accel.torchscript.stages import components_of
from cosyrt.engine.stages import Stages
from cosyrt.errors import kind_and_reason
from cosyrt.lab.workload import Length, Subject, calls_of, seconds_of
from cosyrt.machine.facts import Machine
from cosyrt.machine.gpu import Card, CudaCard
from cosyrt.machine.probe import physical_cores, this_machine

PLAN = "plan"  # what `cosyrt.load` runs, without its guard: the doctor wants to see it fail
SHORT = Length(46, 0, False)  # 1.8 s of speech
LENGTHS = (19, 28, 37, 46, 55)  # in speech tokens, where it does not matter that they were seen (lengths.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Everything a cause may be looked for in; each field can be another in a test."""

    subject: Subject
    stages: Stages  # as it is run
    shares: Mapping[Part, float]  # seconds of each part for SHORT, the plain way
    device: torch.device  # where it is meant to run
    machine: Machine = Machine()
    cores: int = 1  # that compute: without their second threads, within what the container may use
    plan_objection: str = ""  # why the plan that is there is not used
    archives: tuple[Path, ...] = ()
    sessions: tuple[Any, ...] = ()  # of onnxruntime
    card: Card | None = None
    clock: Callable[[], float] = field(default=time.perf_counter)

    @classmethod
    def open(
        cls,
        folder: str | None = None,  # None: the built-in voice
        *,
        device: str | None = None,
        way: str = PLAN,  # `plan`, `eager` or the name of a backend
        archives: Path | None = None,  # where they are, if not in the model folder
    ) -> Patient:
        """Load a model, measure where its time goes, and look around.

        Raises:
            ModelError: the folder cannot be used.
            UsageError: no such device or way, or there is nothing to run that way.
            MissingDependency, ArchiveError: the way cannot be used here.
        """
        subject = Subject.open(folder, device)
        where = subject.model.device
        stages, objection = _run(subject, way, archives)
        return cls(
            subject=subject,
            stages=stages,
            shares=shares_of(subject),
            device=where,
            machine=this_machine(),
            cores=physical_cores(),
            plan_objection=objection,
            archives=_found(subject, archives),
            sessions=_sessions(),
            card=CudaCard(where) if where.type == "cuda" else None,
        )

    @property
    def changed(self) -> list[Part]:
        """The parts that are not run the plain way."""
        plain = self.subject.plain
        return [
            part
            for part, names in PARTS.items()
            if any(getattr(self.stages, name) is not getattr(plain, name) for name in names)
        ]

    def share(self, part: Part) -> float:
        """Of the whole, the plain way."""
        return self.shares[part] / (sum(self.shares.values()) or 1.0)

    def seconds(self, part: Part, tokens: int) -> float:
        """What the calls of a part take in an utterance of that many speech tokens; of like calls a few."""
        said = self.subject.utterance(Length(tokens, 0, False))
        calls = calls_of(self.subject, self.stages, part, said, self.clock)
        return sum(call.seconds for call in calls)


def shares_of(subject: Subject) -> dict[Part, float]:
    """Seconds of each part for one short utterance the plain way, once it is warm."""
    said = subject.utterance(SHORT)

    def once(part: Part) -> float:
        return seconds_of(subject, part, said, calls_of(subject, subject.plain, part, said))

    for part in PARTS:
        once(part)
    return {part: min(once(part) for _ in range(2)) for part in PARTS}


def _run(subject: Subject, way: str, archives: Path | None) -> tuple[Stages, str]:
    """The stages that way, and what speaks against the plan if it was asked for and is not used."""
    model, plain = subject.model, subject.plain
    if way == EAGER:
        return plain, ""
    if way != PLAN:
        accelerate = by_archives(where=archives) if way == "torchscript" and archives else accelerated(way)
        return accelerate(model), ""
    plan, objection = fitting(model.folder, model.device)
    if plan is None:
        return plain, objection
    try:
        names = {part: planned.backend for part, planned in plan.parts.items()}
        return accelerated(names)(model), ""
    except Exception as error:  # as in `cosyrt.load`, where the plain way speaks then
        return plain, kind_and_reason(error)


def _found(subject: Subject, archives: Path | None) -> tuple[Path, ...]:
    """The TorchScript archives of this model that lie there."""
    folder = subject.model.folder
    known = {component.name for component in components_of(folder.family)}
    named = ((path, NAME.fullmatch(path.name)) for path in sorted((archives or folder.path).glob("*.zip")))
    return tuple(path for path, match in named if match and match["component"] in known)


def _sessions() -> tuple[Any, ...]:
    """Every session of onnxruntime in this process, whoever opened it: only the collector knows them all."""
    module = sys.modules.get("onnxruntime")
    if module is None:
        return ()
    return tuple(each for each in gc.get_objects() if issubclass(type(each), module.InferenceSession))
