"""Every backend there is, and what runs all parts of a model with one of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from cosyrt.accel.backend.cudagraph import CUDAGRAPHS
from cosyrt.accel.backend.half_weights import BF16, FP16
from cosyrt.accel.backend.inductor import INDUCTOR
from cosyrt.accel.backend.onnx import ONNX
from cosyrt.accel.backend.openvino import OPENVINO
from cosyrt.accel.backend.quantize import INT8
from cosyrt.accel.backend.tensorrt import TENSORRT
from cosyrt.accel.backend.torchscript import TORCHSCRIPT
from cosyrt.accel.contract import Backend, Part
from cosyrt.errors import MissingDependency, UsageError

if TYPE_CHECKING:
    from cosyrt.engine.model import Accelerate, Model
    from cosyrt.engine.stages import Stages

log = logging.getLogger(__name__)

EAGER = "eager"  # the name of no backend at all
BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (BF16, FP16, INT8, *OPENVINO, ONNX, INDUCTOR, TORCHSCRIPT, *CUDAGRAPHS, *TENSORRT)
}


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in BACKENDS:
        raise UsageError(f"no backend {name!r}; there are {', '.join([EAGER, *BACKENDS])}")
    return BACKENDS[name]


def accelerated(names: dict[Part, str] | str) -> Accelerate:
    """What `cosyrt.load(accelerate=…)` takes: each part with its backend, or all that it can run with one.

    Raises:
        UsageError: an unknown backend; or (when the model is loaded) a part that it cannot run of this model,
            which for a single name means all of them: the others run the plain way, with a warning.
        MissingDependency (when the model is loaded): it cannot be used here.
    """
    choice = dict.fromkeys(backend(names).parts, names) if isinstance(names, str) else names
    chosen = {part: backend(name) for part, name in choice.items()}

    def accelerate(model: Model) -> Stages:
        refused: list[UsageError] = []
        for part, one in chosen.items():
            there = one.availability(model.device)
            if not there.ok:
                raise MissingDependency(f"{one.name}: {there.reason}")
            try:
                model = replace(model, stages=one.build(part, model))
            except UsageError as error:
                refused.append(error)
                if names is choice or len(refused) == len(chosen):
                    raise
                log.warning("%s runs the plain way: %s", part, error)
        return model.stages

    return accelerate
