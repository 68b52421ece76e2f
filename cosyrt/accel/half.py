"""Stages → stages: float16, as upstream's `fp16=True` means it.

The language model's weights are halved, so that nothing is cast at each step (upstream casts float32 weights
on every call, which was slower than float32). The flow runs under autocast: norms and softmax stay float32.
The vocoder stays float32, as upstream's does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.stages import Models, Stages
from cosyrt.errors import UsageError
from cosyrt.models.llm import SpeechLanguageModel


def half_precision(folder: ModelFolder, models: Models, stages: Stages) -> Stages:
    """What `cosyrt.load(accelerate=…)` takes: language model and flow in float16.

    Raises:
        UsageError: there is no CUDA device: float16 is slower than float32 on a CPU.
    """
    device = next(models.flow.parameters()).device
    if device.type != "cuda":
        raise UsageError(f"float16 needs a CUDA device, {folder.path.name} runs on {device}; leave fp16 out")
    return halved(models, stages, device)


def halved(models: Models, stages: Stages, device: torch.device) -> Stages:
    """The same wherever torch has float16."""
    if isinstance(models.llm, SpeechLanguageModel):
        models.llm.half()
    return stages._replace(encode=_cast(stages.encode, device), velocity=_cast(stages.velocity, device))


def _cast(stage: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    def cast(*args: object) -> Tensor:
        with torch.autocast(device.type, torch.float16):
            return stage(*args).float()

    return cast
