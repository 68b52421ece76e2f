"""Inductor: torch.compile of the graphs, for all lengths. A compiler is needed: C++ or triton."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from cosyrt.accel.backend.compiled import EXAMPLE_FRAMES, EXAMPLE_PAST, Graph, compiled_stages, refusal
from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.files import cache_folder
from cosyrt.machine.facts import Machine

HOST_COMPILERS = ("g++", "clang++", "cl")
LONGEST = 1024  # frames of the longest call while it is built; the ranges end before


def compiled(module: nn.Module, example: tuple[Tensor, ...]) -> Graph:
    """Compile a module with free sizes, and call it at many lengths so that no later call compiles."""
    run = torch.compile(module, dynamic=True, fullgraph=True)

    @torch.inference_mode()
    def graph(*args: Tensor) -> Sequence[Tensor]:
        found = run(*map(plain, args))
        return [found] if isinstance(found, Tensor) else list(found)

    # With oneDNN a convolution of one row has several ways, and each range of lengths a graph of its own.
    with torch.backends.mkldnn.flags(enabled=False):  # of the whole process, until the graph is made
        graph(*example)
    for frames in lengths():
        graph(*stretched(example, frames))
    return graph


def plain(arg: Tensor) -> Tensor:
    """Normalise strides and the inference flag, so that no new variant is compiled."""
    arg = arg.contiguous() if arg.is_inference() else arg.clone(memory_format=torch.contiguous_format)
    return arg.flatten().view(arg.shape)  # where a size is 1, contiguous ones have strides of any kind


def lengths() -> Iterator[int]:
    """Numbers of frames, dense enough to find every range that gets a graph of its own after all.

    A convolution of one row changes its way at 20480 numbers: of 20 channels, at 1024 frames.
    """
    frames = 16
    while frames <= LONGEST:
        yield frames
        frames += frames // 4


def stretched(example: tuple[Tensor, ...], frames: int) -> list[Tensor]:
    """Arguments of ones in the shapes of the example, with another number of frames."""
    total = EXAMPLE_PAST + EXAMPLE_FRAMES
    longer = {EXAMPLE_FRAMES: frames, total: EXAMPLE_PAST + frames}
    return [arg.new_ones([longer.get(size, size) for size in arg.shape]) for arg in example]


def build(part: Part, model: Model) -> Stages:
    """Compile one part."""
    # Beside the plans it outlives a restart, and the child in which it is compiled for the first time.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
    # Each graph takes half a minute.
    return compiled_stages(part, model.networks, model.stages, compiled, graphs=1)


def availability(device: torch.device) -> Availability:
    """Whether a compiler for its code is there."""
    if device.type == "cuda" and find_spec("triton") is None:
        return Availability(False, "on a GPU it needs triton; pip install triton")
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), *HOST_COMPILERS))):
        return Availability(False, "it needs a C++ compiler; install g++ or clang")
    if device.type not in ("cpu", "cuda"):
        return Availability(False, f"it is used for the CPU and CUDA, the model runs on {device.type}")
    return Availability(True)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge torch.compile by whether its compiler is installed."""
    if machine.gpu is None and "C++ compiler" not in machine.runtimes:
        return Advice("impossible", "it needs a C++ compiler, and none is installed")
    if machine.gpu is not None and not {"triton", "triton-windows"} & machine.runtimes.keys():
        return Advice("impossible", "it needs triton, which is not installed")
    return Advice("try", f"it fuses the small operations of the flow; a minute to compile; {MEASURE}")


BACKENDS = (
    Backend(
        name="inductor",
        precision="exact",
        parts=("velocity",),
        availability=availability,
        build=build,
        refusal=refusal,
        predicts=lambda device: 1.2,
        option="torch.compile (Inductor)",
        advice=advice,
    ),
)
