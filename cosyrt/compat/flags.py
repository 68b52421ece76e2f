"""Upstream's flags for acceleration: honoured, or left out with a warning where upstream does, or refused.

Without a GPU upstream switches its flags off and goes on, and scripts that always set `fp16=True` rely on it.
Here only what the processor cannot do is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from cosyrt.accel.contract import Part
from cosyrt.accel.registry import accelerated
from cosyrt.compat.older import warn_once
from cosyrt.engine.model import Accelerate, Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The acceleration flags of a constructor of upstream's.

    Raises:
        UsageError: a number of TensorRT contexts that is less than one.
    """

    load_jit: bool | str | Path = False  # a path: where `cosyrt export --out` wrote the archives
    load_trt: bool = False
    load_vllm: bool = False
    fp16: bool = False
    trt_concurrent: int = 1

    def __post_init__(self) -> None:
        if self.trt_concurrent < 1:
            raise UsageError(f"trt_concurrent={self.trt_concurrent}: TensorRT needs one context at least")

    @property
    def acceleration(self) -> Accelerate | None:
        """What `cosyrt.load` is to accelerate with; None: no flag is set, a plan of `cosyrt tune` counts."""
        asked = bool(self.load_jit) or self.load_trt or self.load_vllm or self.fp16
        return self.accelerate if asked else None

    def on(self, device: torch.device) -> Flags:
        """The flags that are honoured on a device, after a warning of those that are not.

        Raises:
            MissingDependency: `load_vllm` on a GPU, where vLLM is not installed.
        """
        from cosyrt.accel.backend import half_weights, tensorrt
        from cosyrt.accel.vllm import acceleration

        vllm = acceleration.availability()
        if device.type == "cuda":
            if self.load_vllm and not vllm.ok:
                raise MissingDependency(f"load_vllm=True: {vllm.reason}")
            return self
        left_out = {
            "load_vllm": self.load_vllm and not vllm.ok,
            "load_trt": self.load_trt and not tensorrt.availability(None, device).ok,
            "fp16": self.fp16 and not half_weights.availability("fp16", device).ok,
        }
        if names := " and ".join(name for name, is_left_out in left_out.items() if is_left_out):
            warn_once(
                f"{names} left out, as upstream does without a GPU: the {device.type} has no use for it"
            )
        return replace(self, **{name: False for name, is_left_out in left_out.items() if is_left_out})

    def accelerate(self, model: Model) -> Stages:
        """The stages that the flags ask for; an acceleration for `cosyrt.load`.

        Raises:
            ArchiveError: `load_jit` without archives that fit the model.
            MissingDependency: on a GPU, `load_vllm` without vLLM, or `load_trt` without TensorRT.
            UsageError: `load_jit` of a family that has no archives; a graph that TensorRT cannot build.
        """
        return self.on(model.device)._stages(model)

    def _stages(self, model: Model) -> Stages:
        steps: list[Accelerate] = []
        if self.load_jit:
            from cosyrt.accel.backend.torchscript import archives

            where = None if isinstance(self.load_jit, bool) else self.load_jit
            steps.append(archives("fp16" if self.fp16 else "fp32", where))
        if self.fp16:
            elsewhere = {"encode": bool(self.load_jit), "velocity": self.load_trt}  # in 16 bits, too
            halves = [part for part in ("llm", "encode", "velocity") if not elsewhere.get(part)]
            steps.append(accelerated(cast(dict[Part, str], dict.fromkeys(halves, "fp16"))))
        if self.load_trt:
            from cosyrt.accel.backend import tensorrt

            steps.append(partial(tensorrt.upstreams, self.fp16, self.trt_concurrent))
        if self.load_vllm:
            from cosyrt.accel.vllm.acceleration import vllm

            steps.append(vllm())
        for step in steps:
            model = replace(model, stages=step(model))
        return model.stages
