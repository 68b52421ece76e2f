"""Upstream's flags for acceleration: each is honoured or refused in one line, none is ignored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from cosyrt.accel.contract import Part
from cosyrt.accel.registry import accelerated
from cosyrt.engine.model import Accelerate, Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The acceleration flags of a constructor of upstream's.

    Raises:
        MissingDependency: a backend that this version does not have.
        UsageError: a number of TensorRT contexts without TensorRT, or less than one.
    """

    load_jit: bool = False
    load_trt: bool = False
    load_vllm: bool = False
    fp16: bool = False
    trt_concurrent: int = 1

    def __post_init__(self) -> None:
        if self.load_vllm:
            raise MissingDependency(
                "load_vllm=True: this version has no vLLM backend; leave it out, torch runs the model"
            )
        if self.trt_concurrent != 1 and not self.load_trt:
            raise UsageError(
                f"trt_concurrent={self.trt_concurrent} counts TensorRT contexts, of which there are none"
            )
        if self.trt_concurrent < 1:
            raise UsageError(f"trt_concurrent={self.trt_concurrent}: TensorRT needs one context at least")

    def accelerate(self, model: Model) -> Stages:
        """The stages that the flags ask for; an acceleration for `cosyrt.load`.

        Raises:
            ArchiveError: `load_jit` without archives that fit the model.
            MissingDependency: `fp16` where the device has no such arithmetic; `load_trt` without TensorRT or
                without CUDA.
            UsageError: `load_jit` of a family that has no archives; a graph that TensorRT cannot build.
        """
        steps: list[Accelerate] = []
        if self.load_jit:
            from cosyrt.accel.backend.torchscript import archives

            steps.append(archives("fp16" if self.fp16 else "fp32"))
        if self.fp16:
            elsewhere = {"encode": self.load_jit, "velocity": self.load_trt}  # in 16 bits, too
            halves = [part for part in ("llm", "encode", "velocity") if not elsewhere.get(part)]
            steps.append(accelerated(cast(dict[Part, str], dict.fromkeys(halves, "fp16"))))
        if self.load_trt:
            from cosyrt.accel.backend import tensorrt

            steps.append(partial(tensorrt.upstreams, self.fp16, self.trt_concurrent))
        for step in steps:
            model = replace(model, stages=step(model))
        return model.stages
