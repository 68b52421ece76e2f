"""What plans say of accelerations on this machine, by the options that the advice is about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cosyrt.accel.plan import Plan, plans_folder, surroundings

if TYPE_CHECKING:
    from cosyrt.lab.advice import Verdict

# how a backend's name begins → the option
OPTION_OF = {
    "bf16": "half weights (bf16, fp16)",
    "fp16": "half weights (bf16, fp16)",
    "int8": "int8 language model",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "inductor": "torch.compile (Inductor)",
    "cudagraphs": "CUDA graphs",
    "tensorrt": "TensorRT",
    "torchscript": "TorchScript (JIT)",
}


def measured_here(folder: Path | None = None) -> Mapping[str, tuple[Verdict, str]]:
    """By option: the verdict and what was measured, from the plans that hold on this machine as it is."""
    now = surroundings(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    found: dict[str, list[str]] = {}
    for plan in _plans(folder or plans_folder()):
        model = plan.made_for.get("model", "")
        if plan.stale(now | {"model": model}):
            continue
        for part, planned in plan.parts.items():
            if option := _option(planned.backend):
                words = (
                    f"{planned.backend} made {part} of model {model[:8]} {planned.speedup:.2f} times as fast"
                )
                found.setdefault(option, []).append(words)
    return {option: ("use", "; ".join(words)) for option, words in found.items()}


def _plans(folder: Path) -> Iterator[Plan]:
    paths = sorted(folder.glob("*.json")) if os.path.isdir(folder) else []
    yield from filter(None, map(Plan.read, paths))


def _option(backend: str) -> str | None:
    return next((option for prefix, option in OPTION_OF.items() if backend.startswith(prefix)), None)
