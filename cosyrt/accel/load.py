"""`cosyrt.load`: a model, run by the plan that `cosyrt tune` made for it on this machine, if there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from cosyrt.accel.guard import GuardConfig, disabled, guarded
from cosyrt.arguments import check_kind
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import Accelerate, Model, folder_of
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.errors import kind_and_reason
from cosyrt.models.solver import Solver

if TYPE_CHECKING:
    from cosyrt.accel.plan import Plan

log = logging.getLogger(__name__)


def load(
    folder: str | Path | ModelFolder | None = None,
    *,
    device: str | None = None,
    weights: str = "",
    accelerate: Accelerate | None = None,
    plan: bool = True,
    watch: GuardConfig | None = None,
    streams: int = 1,
) -> Pipeline:
    """Load a model folder in the official layout; without one, the built-in voice.

    `device` is a torch device such as `cpu` or `cuda:0`; None takes CUDA when there is a GPU. A plan that
    `cosyrt tune` made for this model on this machine is used, unless `plan` is false. `accelerate` takes its
    place: a function from the loaded `Model` to the stages to run it with, such as
    `cosyrt.accel.backend.torchscript.archives()`. A part of a plan that fails while it speaks runs its plain
    stages from then on; `watch` says when a part has failed. `streams` says how many requests will be spoken
    at once, for which `cosyrt tune --streams` may have found another plan. `weights="rl"` takes `llm.rl.pt`
    in place of `llm.pt`, which the published CosyVoice 3 has beside it.

    Raises:
        ModelError: the folder, its description or its weights cannot be used.
        UsageError: no such device, or an argument of another kind.
    """
    check_kind(accelerate, Callable | None, "accelerate", "give a function from a Model to its stages")
    check_kind(plan, bool, "plan", "give True or False")
    check_kind(watch, GuardConfig | None, "watch", "give a GuardConfig")
    check_kind(streams, Integral, "streams", "give a whole number of requests")
    opened = folder if isinstance(folder, ModelFolder) else folder_of(folder, weights)
    model = Model.open(opened, device)
    if accelerate is not None:
        stages = accelerate(model)
        check_kind(stages, Stages, "what accelerate gave", "let it give the Stages of the model")
        model = replace(model, stages=stages)
    elif plan:
        model = planned(model, watch, streams)
    return Pipeline(model)


def planned(model: Model, watch: GuardConfig | None = None, streams: int = 1) -> Model:
    """Run a model by its plan for this device: other stages and, where one was allowed, another solver."""
    from cosyrt.accel.plan import fitting

    plan, objection = fitting(model.folder, model.device, streams)
    if objection:
        log.warning("the plan for %s is not used: %s", model.folder.path, objection)
    if plan is None:
        return model
    model = replace(model, chunked=plan.chunked, calls=plan.calls)
    if plan.solver is not None:
        model = solved_by(model, plan.solver.solver)
    return replace(model, stages=planned_stages(model, plan, watch)) if plan.parts else model


def solved_by(model: Model, solver: Solver) -> Model:
    """Take another solver in place of the model's own."""
    flow = replace(model.settings.flow, approximation=solver)
    return replace(model, settings=replace(model.settings, flow=flow))


def planned_stages(model: Model, plan: Plan, watch: GuardConfig | None = None) -> Stages:
    """The stages of a plan, under guard; the plain ones where they cannot be built."""
    from cosyrt.accel.registry import accelerated

    parts = {part: one for part, one in plan.parts.items() if not disabled(plan.made_for["model"], part)}
    try:
        fast = accelerated({part: one.backend for part, one in parts.items()})(model)
    except Exception as error:  # a backend may raise anything: whatever it is, the plain stages speak
        log.warning("the plan for %s is not used: %s", model.folder.path, kind_and_reason(error))
        return model.plain
    return guarded(plan.made_for["model"], model.plain, fast, parts, watch or GuardConfig())
