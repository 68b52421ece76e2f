"""The names of all backends, and the acceleration that runs parts of a model with some of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from cosyrt.accel.contract import Backend, Part
from cosyrt.accel.split_rows import at_most
from cosyrt.errors import MissingDependency, UsageError
from cosyrt.families import FAMILIES
from cosyrt.machine.mapped import give_back

if TYPE_CHECKING:
    from cosyrt.engine.model import Accelerate, Model
    from cosyrt.engine.stages import Stages

log = logging.getLogger(__name__)

EAGER, PLAN = "eager", "plan"  # names beside the backends': none of them, and what `cosyrt tune` chose
MODULES: Mapping[str, str] = {  # backend → its module in `cosyrt.accel.backend`
    "bf16": "half_weights",
    "fp16": "half_weights",
    "int8": "quantize",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
    "openvino-int8": "openvino",
    "openvino-int4": "openvino",
    "openvino-w8a8": "calibrated",
    "onnxruntime": "onnx",
    "inductor": "inductor",
    "torchscript": "torchscript",
    "cudagraphs": "cudagraph",
    "cudagraphs-bf16": "cudagraph",
    "cudagraphs-fp16": "cudagraph",
    "tensorrt": "tensorrt",
    "tensorrt-fp16": "tensorrt",
    "vllm": "vllm",
    "vllm-bf16": "vllm",
}


class _Backends(Mapping[str, Backend]):
    """Every backend by its name. A backend's module is imported when it is asked for, and not before."""

    def __getitem__(self, name: str) -> Backend:
        module = import_module(f"cosyrt.accel.backend.{MODULES[name]}")
        found: dict[str, Backend] = {one.name: one for one in module.BACKENDS}
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


BACKENDS: Mapping[str, Backend] = _Backends()


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in MODULES:
        raise UsageError(f"no backend {name!r}; there are {', '.join([EAGER, *MODULES])}")
    return BACKENDS[name]


def accelerated(names: dict[Part, str] | str) -> Accelerate:
    """An acceleration for `cosyrt.load`: each part with its backend, or all that one backend can run with it.

    Raises:
        UsageError: an unknown backend; or (when the model is loaded) a part that it cannot run of this model,
            which for a single name means all of them: the others run their plain stages, with a warning.
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
                if refusal := one.refusal(part, FAMILIES[model.folder.family]):
                    raise UsageError(refusal)
                model = replace(model, stages=_with_rows(one, part, one.build(part, model)))
            except UsageError as error:
                refused.append(error)
                if names is choice or len(refused) == len(chosen):
                    raise
                log.warning("%s runs its plain stages: %s", part, error)
        give_back(model.networks.parameters())  # read to make the fast stages; what is plain is read again
        return model.stages

    return accelerate


def _with_rows(one: Backend, part: Part, stages: Stages) -> Stages:
    """The stages that a backend has built, with its step asked for no more rows than it takes."""
    if part != "llm" or one.rows is None:
        return stages
    return stages.replacing(step=at_most(one.rows, stages.step))
