"""Upstream's flags for acceleration: each is honoured or refused in one line, none is ignored."""

from __future__ import annotations

from dataclasses import dataclass

from cosyrt.accel.backend import Part
from cosyrt.accel.backends import accelerated
from cosyrt.accel.torchscript import archives
from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.pipeline import Accelerate
from cosyrt.engine.stages import Models, Stages
from cosyrt.errors import MissingDependency, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What a constructor of upstream's was asked for.

    Raises:
        MissingDependency: a backend that this version does not have.
        UsageError: a number of TensorRT contexts without TensorRT.
    """

    load_jit: bool = False
    load_trt: bool = False
    load_vllm: bool = False
    fp16: bool = False
    trt_concurrent: int = 1

    def __post_init__(self) -> None:
        for asked, name, backend in (
            (self.load_trt, "load_trt", "TensorRT"),
            (self.load_vllm, "load_vllm", "vLLM"),
        ):
            if asked:
                raise MissingDependency(
                    f"{name}=True: this version has no {backend} backend; leave it out, torch runs the model"
                )
        if self.trt_concurrent != 1:
            raise UsageError(
                f"trt_concurrent={self.trt_concurrent} counts TensorRT contexts, of which there are none"
            )

    def accelerate(self, folder: ModelFolder, models: Models, stages: Stages) -> Stages:
        """What `cosyrt.load(accelerate=…)` takes.

        Raises:
            ArchiveError: `load_jit` without archives that fit the model.
            MissingDependency: `fp16` where the device has no such arithmetic.
            UsageError: `load_jit` of a family that has no archives.
        """
        steps: list[Accelerate] = []
        if self.load_jit:
            steps.append(archives("fp16" if self.fp16 else "fp32"))
        if self.fp16:
            halves: tuple[Part, ...] = ("llm", "velocity") if self.load_jit else ("llm", "encode", "velocity")
            steps.append(accelerated(dict.fromkeys(halves, "fp16")))
        for step in steps:
            stages = step(folder, models, stages)
        return stages
