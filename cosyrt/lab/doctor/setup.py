"""The set-up that the doctor examines: a model, the stages that run it, and the machine around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cosyrt.accel.backend.torchscript import archives as by_archives
from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.plan import fitting
from cosyrt.accel.registry import EAGER, PLAN, accelerated
from cosyrt.accel.torchscript.archive import NAME
from cosyrt.accel.torchscript.stages import components_of
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import kind_and_reason
from cosyrt.lab.workload import Length, Workload, part_seconds, stage_calls
from cosyrt.machine.facts import Machine
from cosyrt.machine.gpu import Card, CudaCard
from cosyrt.machine.probe import physical_cores, this_machine

SHORT = Length(46, 0, False)  # 1.8 s of speech
SEEN_LENGTHS = (19, 28, 37, 46, 55)  # in speech tokens, where seen lengths do no harm (lengths.py)

# confirmed: shown by its experiment; suspected: there, but the experiment could not decide;
# ruled out: not there, or without effect; not applicable: this machine has nothing of the kind
Status = Literal["confirmed", "suspected", "ruled out", "not applicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause of slowness: what was seen, the experiment that was run, and what to do."""

    cause: str
    status: Status
    seen: str
    experiment: str = ""  # empty where nothing was seen that called for one
    fix: str = ""  # one line; empty unless the cause is named

    @property
    def named(self) -> bool:
        """Tell whether the cause is there, for certain or perhaps."""
        return self.status in ("confirmed", "suspected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that a cause may be looked for in; each field can be replaced in a test."""

    workload: Workload
    stages: Stages  # as the model is run
    shares: Mapping[Part, float]  # seconds of each part for SHORT in eager
    machine: Machine = Machine()
    cores: int = 1  # that compute: without their second threads, within what the container may use
    plan_objection: str = ""  # why the plan that is there is not used
    archives: tuple[Path, ...] = ()
    card: Card | None = None
    clock: Callable[[], float] = field(default=time.perf_counter)

    @classmethod
    def open(
        cls,
        model: Model,
        *,
        backend: str = PLAN,  # or `eager`, or the name of one
        archives: Path | None = None,  # where they are, if not in the model folder
    ) -> Setup:
        """Measure where the time of a model goes, and look around.

        Raises:
            UsageError: no such backend, or it can run nothing of this model.
            MissingDependency, ArchiveError: the backend cannot be used here.
        """
        workload = Workload(model)
        stages, objection = _stages(model, backend, archives)
        return cls(
            workload=workload,
            stages=stages,
            shares=shares_of(workload),
            machine=this_machine(),
            cores=physical_cores(),
            plan_objection=objection,
            archives=_archives(model, archives),
            card=CudaCard(model.device) if model.device.type == "cuda" else None,
        )

    @property
    def model(self) -> Model:
        """The loaded model; its own stages are the plain ones."""
        return self.workload.model

    @property
    def changed(self) -> list[Part]:
        """Parts that are not run in eager."""
        plain = self.model.plain
        return [
            part
            for part, names in PARTS.items()
            if any(getattr(self.stages, name) is not getattr(plain, name) for name in names)
        ]

    def share(self, part: Part) -> float:
        """Share of a part in the time of all, in eager."""
        return self.shares[part] / (sum(self.shares.values()) or 1.0)

    def seconds(self, part: Part, tokens: int) -> float:
        """Time the calls of a part in an utterance of that many speech tokens; of like calls only a few."""
        utterance = self.workload.utterance(Length(tokens, 0, False))
        return sum(call.seconds for call in stage_calls(self.model, self.stages, part, utterance, self.clock))


def shares_of(workload: Workload) -> dict[Part, float]:
    """Measure the seconds of each part for one short utterance in eager, once it is warm."""
    model, utterance = workload.model, workload.utterance(SHORT)
    for part in PARTS:
        part_seconds(model, model.plain, part, utterance)
    return {part: min(part_seconds(model, model.plain, part, utterance) for _ in range(2)) for part in PARTS}


def _stages(model: Model, backend: str, archives: Path | None) -> tuple[Stages, str]:
    """Choose stages by name, and say why a plan that is there is not used.

    The plan runs without its guard: the doctor is to see what the guard would hide.
    """
    if backend == EAGER:
        return model.plain, ""
    if backend == "torchscript" and archives:
        return by_archives(where=archives)(model), ""
    if backend != PLAN:
        return accelerated(backend)(model), ""
    plan, objection = fitting(model.folder, model.device)
    if plan is None:
        return model.plain, objection
    try:
        return accelerated({part: planned.backend for part, planned in plan.parts.items()})(model), ""
    except Exception as error:  # as in `cosyrt.load`, which speaks in eager then
        return model.plain, kind_and_reason(error)


def _archives(model: Model, archives: Path | None) -> tuple[Path, ...]:
    """Find the TorchScript archives of this model."""
    known = {component.name for component in components_of(model.folder.family)}
    paths = sorted((archives or model.folder.path).glob("*.zip"))
    named = ((path, NAME.fullmatch(path.name)) for path in paths)
    return tuple(path for path, match in named if match and match["component"] in known)
