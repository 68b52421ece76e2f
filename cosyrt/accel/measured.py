"""What plans say of accelerations on this machine, by the options that the advice is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cosyrt.accel.plan import Plan, device_name, plans_folder

if TYPE_CHECKING:
    from cosyrt.accel.advice import Verdict

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
    """By option: the verdict and what was measured, from the plans made on this machine's device."""
    device = device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    found: dict[str, list[str]] = {}
    for plan in _plans(folder or plans_folder()):
        if plan.made_for.get("device") != device:
            continue
        model = plan.made_for.get("model", "")[:8]
        for part, planned in plan.parts.items():
            if option := _option(planned.backend):
                words = f"{planned.backend} made {part} of model {model} {planned.speedup:.2f} times as fast"
                found.setdefault(option, []).append(words)
    return {option: ("use", "; ".join(words)) for option, words in found.items()}


def _plans(folder: Path) -> Iterator[Plan]:
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    yield from filter(None, map(Plan.read, paths))


def _option(backend: str) -> str | None:
    return next((option for prefix, option in OPTION_OF.items() if backend.startswith(prefix)), None)
