"""Inductor: torch.compile of the same graphs, once for all lengths. It needs a compiler: C++ or triton."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from cosyrt.accel.backend import Availability, Backend, Part
from cosyrt.accel.compiled import Graph, compiled_stages
from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.stages import Models, Stages

COMPILERS = ("g++", "clang++", "cl")


def compiled(module: nn.Module, example: tuple[Tensor, ...]) -> Graph:
    """The module compiled with free sizes, and called once so that it is ready."""
    run = torch.compile(module, dynamic=True, fullgraph=True)

    @torch.inference_mode()
    def graph(*args: Tensor) -> Sequence[Tensor]:
        found = run(*args)
        return [found] if isinstance(found, Tensor) else list(found)

    graph(*example)
    return graph


def build(part: Part, folder: ModelFolder, models: Models, stages: Stages) -> Stages:
    """One part compiled.

    Raises:
        UsageError: there is no graph of that part of this family.
    """
    return compiled_stages(part, models, stages, compiled, graphs=1)  # each takes half a minute


def availability(device: torch.device) -> Availability:
    """Whether there is what compiles its code."""
    if device.type == "cuda" and find_spec("triton") is None:
        return Availability(False, "on a GPU it needs triton; pip install triton")
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), *COMPILERS))):
        return Availability(False, "it needs a C++ compiler; install g++ or clang")
    if device.type not in ("cpu", "cuda"):
        return Availability(False, f"it is used for the CPU and CUDA, the model runs on {device.type}")
    return Availability(True)


INDUCTOR = Backend(
    name="inductor",
    precision="exact",
    parts=("velocity",),
    availability=availability,
    build=build,
    predicts=lambda device: 1.2,
)
