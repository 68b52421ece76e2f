"""Faults of the model itself: a stage that raises, runs out of memory, gives what is no number, or hangs.

A fault is loaded into a service before it starts, and fires once each time it is armed from outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from cosyrt.engine.pipeline import Pipeline

Kind = Literal["raises", "out of memory", "NaN", "infinite", "wrong", "hangs"]
PARTS = {"step": "llm", "velocity": "velocity", "vocode": "vocode"}  # the stages that can be spoilt
STALL_S = 8.0
HANGS_S = 4.0  # after which the guard gives a call up
EVERY_CALL = 1e9  # a share of time that pays for a spot check of each call
OFF = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong in one stage; of a backend that a guard watches, or of the plain model itself."""

    stage: str
    kind: Kind
    guarded: bool = False


class Trigger:
    """Counts the calls of a stage until the fault; shared by the service and whoever arms it."""

    def __init__(self, context: BaseContext) -> None:
        self._left = context.Value("q", OFF)

    def arm(self, calls: int = 0) -> None:
        """Let the fault come after so many calls that go well."""
        self._left.value = calls

    def disarm(self) -> None:
        """Let no fault come."""
        self._left.value = OFF

    @property
    def fired(self) -> bool:
        """Whether it has come since it was armed."""
        return bool(self._left.value == OFF)

    def fires(self) -> bool:
        """Count a call; whether this is the one."""
        left = int(self._left.value)
        if left >= 0:
            self._left.value = left - 1
        return left == 0


def faulty(pipeline: Pipeline, fault: Fault, trigger: Trigger) -> Pipeline:
    """The pipeline with a stage that goes wrong when the trigger fires."""
    from cosyrt.accel.guard import GuardConfig, guarded
    from cosyrt.accel.plan import Planned
    from cosyrt.engine.pipeline import Pipeline

    model = pipeline.model
    spoilt = model.plain.replacing(
        **{fault.stage: _spoilt(getattr(model.plain, fault.stage), fault.kind, trigger)}
    )
    if fault.guarded:
        part: Any = PARTS[fault.stage]
        planned = Planned(backend="spoilt", speedup=2.0)
        config = GuardConfig(checked=EVERY_CALL if fault.kind == "wrong" else 0.0)
        if fault.kind == "hangs":
            config = GuardConfig(hangs_s=HANGS_S)
        spoilt = guarded("scorecard", model.plain, spoilt, {part: planned}, config)
    return Pipeline(replace(model, stages=spoilt))


def _spoilt(stage: Callable[..., Any], kind: Kind, trigger: Trigger) -> Callable[..., Any]:
    import torch

    def call(*arguments: Any) -> Any:
        if not trigger.fires():
            return stage(*arguments)
        if kind == "raises":
            raise RuntimeError("a fault of the scorecard")
        if kind == "out of memory":
            raise torch.OutOfMemoryError("CUDA out of memory: a fault of the scorecard")
        if kind == "hangs":
            time.sleep(STALL_S)
        out = stage(*arguments)
        if kind == "wrong":
            return out.flip(-1)
        worst = {"NaN": float("nan"), "infinite": float("inf")}.get(kind)
        return out if worst is None else torch.full_like(out, worst)

    return call
