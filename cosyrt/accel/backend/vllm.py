"""vLLM as a backend of the language model: an engine in a process of its own that makes speech tokens itself.

It batches what is spoken at once; for one utterance there is nothing to batch. See `accel/vllm`.
"""

from __future__ import annotations

from functools import partial

import torch

from cosyrt.accel.contract import Advice, Availability, Backend, Part, Precision
from cosyrt.accel.footprint import Footprint
from cosyrt.accel.vllm import acceleration
from cosyrt.accel.vllm.engine import VllmConfig
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.families import Family
from cosyrt.machine.facts import Machine

OVERHEAD_MB = 1_500  # of the process beside the weights
START_S = 90.0  # until it takes a first text: a minute where it was measured


def availability(dtype: str, device: torch.device) -> Availability:
    """Tell whether there is a vLLM to be started, for weights of this type."""
    if dtype == "bfloat16" and device.type == "cpu":
        return Availability(False, "16-bit weights were not tried in vLLM on a processor")
    return acceleration.availability()


def refusal(part: Part, family: Family) -> str:
    """Why vLLM cannot run a part of a family; empty if it can."""
    if family.language_model == "qwen2":
        return ""
    return f"vLLM runs the language models of CosyVoice 2 and 3, not that of {family.title}"


def build(dtype: str, part: Part, model: Model) -> Stages:
    """Start an engine for the language model of a model; on a processor without compilation."""
    return acceleration.vllm(VllmConfig(dtype=dtype, eager=model.device.type == "cpu"))(model)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge vLLM for the language model by the system and the memory of the card."""
    if machine.is_windows:
        return Advice("impossible", "vLLM does not run on Windows")
    if machine.gpu is None:
        return Advice("leave", "its builds for CPUs run, and were slower than OpenVINO (docs/bench.md)")
    needed = model.gpu_mb("half") + OVERHEAD_MB
    if needed > machine.gpu.free_mb:
        free = f"the {machine.gpu.free_mb:.0f} MB that are free are too few"
        return Advice("leave", f"it would need {needed:.0f} MB: {free}")
    return Advice(
        "leave", "load_vllm=True runs it, experimental and never measured on a card; for many speakers"
    )


KINDS: tuple[tuple[str, Precision, str], ...] = (
    ("vllm", "exact", "float32"),
    ("vllm-bf16", "half", "bfloat16"),
)
BACKENDS = tuple(
    Backend(
        name=name,
        precision=precision,
        parts=("llm",),
        availability=partial(availability, dtype),
        build=partial(build, dtype),
        refusal=refusal,
        predicts=lambda device: 1.0 if device.type == "cpu" else 2.0,
        option="vLLM",
        advice=advice,
        rows=None,
        least_streams=2,
        start_s=START_S,
    )
    for name, precision, dtype in KINDS
)
