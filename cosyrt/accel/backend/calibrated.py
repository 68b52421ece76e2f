"""OpenVINO with weights and activations of 8 bits: integers are multiplied where 16-bit floats are emulated.

Rounding activations needs their ranges. They are the model's own: it says a sentence in each language, once
whole and once in chunks, the second after a prompt of noise, and what its graphs are given meanwhile goes
to NNCF, which sets a range for each activation and a scale for each row of weights. The graph is kept, so a
model is calibrated once.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cosyrt.accel.artifacts import kept
from cosyrt.accel.backend import openvino
from cosyrt.accel.backend.compiled import Graph, compiled_stages, refusal
from cosyrt.accel.backend.half_weights import supported
from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.machine.facts import Machine
from cosyrt.startup import runtime
from cosyrt.voice.voice import Voice

WHOLE, STREAMED = "Good morning, how may I help you today?", "今天天气很好，我们一起去公园散步吧。"
PROMPT_TOKENS = 75  # 3 s
MEL_LEVEL, MEL_SPREAD = -6.0, 2.0  # of speech, natural logarithms
APART, MOST = 3, 12  # calls of a graph that ranges are taken from: every third one, the first dozen of them
Key = tuple[str, int]  # of a graph: its module, and how many arguments it takes
Calls = dict[Key, list[tuple[Tensor, ...]]]


def key_of(module: nn.Module, example: tuple[Tensor, ...]) -> Key:
    """The name of a graph: one with a memory has more arguments than the same module without."""
    return type(module).__name__, len(example)


def calls_while_speaking(part: Part, model: Model) -> Calls:
    """What the graphs of a part are given while the plain model speaks."""
    calls: Calls = {}

    def recorded(module: nn.Module, example: tuple[Tensor, ...]) -> Graph:
        known, counted = calls.setdefault(key_of(module, example), []), iter(range(10**9))

        def run(*args: Tensor) -> Sequence[Tensor]:
            if next(counted) % APART == 0 and len(known) < MOST:
                known.append(args)
            out = module(*args)
            return out if isinstance(out, tuple) else (out,)

        return run

    stages = compiled_stages(part, model.networks, model.plain, recorded)
    pipeline = Pipeline(replace(model, stages=stages))
    own = next(iter(pipeline.voices.values()), None)
    pipeline.say(WHOLE, voice=own or unknown_voice(model, 0))
    for _ in pipeline.stream(STREAMED, voice=unknown_voice(model, PROMPT_TOKENS)):
        pass
    return calls


def unknown_voice(model: Model, prompt_tokens: int) -> Voice:
    """A speaker that nobody is, after a prompt of noise at the level of speech: ranges must hold for all."""
    random, flow = np.random.default_rng(0), model.settings.flow
    frames = model.settings.rates.frames(prompt_tokens)
    return Voice(
        name="calibration",
        speaker=random.standard_normal(flow.speaker_width, np.float32),
        speech_tokens=random.integers(0, flow.speech_vocabulary, prompt_tokens),
        mel=MEL_LEVEL + MEL_SPREAD * random.standard_normal((frames, flow.mel_bins), np.float32),
        family=model.folder.family,
    )


def quantised(graph: Any, calls: Iterable[tuple[Tensor, ...]], vnni: bool) -> Any:
    """Round the weights of a graph to 8 bits, and its activations within the ranges of these calls.

    Without VNNI pairs of products are added in 16 bits and overflow, unless weights keep to 7 bits.
    """
    nncf, ranges = runtime("nncf"), runtime("nncf.quantization.range_estimator")
    nncf.set_log_level(logging.ERROR)
    given = [[arg.detach().contiguous().numpy() for arg in args] for args in calls]
    settings = nncf.AdvancedQuantizationParameters(
        # Moving scales from activations to weights puts two layers of random weights 9 % off, without it 2 %.
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1),
        overflow_fix=nncf.OverflowFix.DISABLE if vnni else nncf.OverflowFix.ENABLE,
        # Means over the calls would cut off what only the first steps reach.
        activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
    )
    with redirect_stdout(io.StringIO()):  # it draws bars
        return nncf.quantize(
            graph,
            nncf.Dataset(given),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(given),
            advanced_parameters=settings,
        )


def has_bf16() -> bool:
    """Tell whether the CPU multiplies floats of 16 bits."""
    return supported("bf16")


def has_vnni() -> bool:
    """Tell whether the CPU adds products of integers in 32 bits."""
    return torch.cpu._is_vnni_supported()


def build(part: Part, model: Model) -> Stages:
    """Run one part with 8-bit weights and activations; what stays a float has 16 bits where it can."""
    calls, vnni = cache(lambda: calls_while_speaking(part, model)), has_vnni()

    def compile(module: nn.Module, example: tuple[Tensor, ...]) -> openvino.Compiled:
        kind, arguments = key = key_of(module, example)

        def make() -> Any:
            return quantised(openvino.converted(module, example), calls()[key], vnni)

        name = f"openvino-{kind}{arguments}-{'w8a8' if vnni else 'w7a8'}"
        graph = kept(model.folder, name, make, openvino.GRAPH)
        return openvino.Compiled(graph, has_bf16())

    return compiled_stages(part, model.networks, model.stages, compile)


def availability(device: torch.device) -> Availability:
    """Tell whether OpenVINO and NNCF are installed, and the model runs on the CPU."""
    there = openvino.availability(False, device)
    if there.ok and find_spec("nncf") is None:
        return Availability(
            False, "NNCF, which sets the ranges, is not installed; pip install 'cosyrt[openvino-int8]'"
        )
    return there


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge 8-bit products by the instructions of the CPU."""
    if machine.gpu is not None:
        return Advice("leave", "cosyrt runs it on the CPU, which the card outdoes")
    if machine.has("amx_int8", "avx512_vnni", "avx_vnni", "i8mm"):
        return Advice("try", f"this CPU multiplies int8 itself, four times as many as floats; {MEASURE}")
    return Advice("try", f"without VNNI little is gained over float32; {MEASURE}")


def predicted(device: torch.device) -> float:
    """Where 16-bit floats are multiplied, integers are hardly faster; without VNNI they are little faster."""
    if has_bf16():
        return 2.5
    return 2.0 if has_vnni() else 1.3


BACKENDS = (
    Backend(
        name="openvino-w8a8",
        precision="quantised",
        parts=("velocity", "vocode"),
        availability=availability,
        build=build,
        refusal=refusal,
        predicts=predicted,
        option="int8 weights and activations",
        advice=advice,
        rows=None,
        kept=True,
    ),
)
