"""OpenVINO on the CPU: one compiled graph for all lengths; float32, bf16, 8- or 4-bit weights for the LLM.

Weights of 8 and 4 bits are written into the graph the way OpenVINO's own compression does (a constant, a
conversion, a product with the scale of its row or group), which its CPU plugin multiplies without unpacking.
Only weights are rounded to nearest here; whether that is good enough, `verify.py` says.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cosyrt.accel.backend import Availability, Backend, Part, Precision, replaced
from cosyrt.accel.graphs import LanguageGraph, VelocityGraph, VocoderGraph, recall, remember
from cosyrt.accel.half_weights import supported
from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.stages import Models, Stages
from cosyrt.errors import UsageError
from cosyrt.models.layers import Memory
from cosyrt.models.llm import Cache, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder

GROUP = 64  # weights of 4 bits that share a scale
LEAST_WEIGHTS = 65_536  # a matrix smaller than this is left as it is
EXAMPLE_FRAMES, EXAMPLE_PAST = 6, 4
GUIDED = 2  # rows of a velocity call: with the conditions and without


class Compiled:
    """A compiled graph that any number of threads may call."""

    def __init__(self, module: nn.Module, example: tuple[Tensor, ...], bits: int, bf16: bool) -> None:
        import openvino

        model = converted(module, example)
        if bits < 32:
            compress(model, bits)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.compiled: Any = openvino.Core().compile_model(model, "CPU", settings)
        self.idle: deque[Any] = deque()
        self.lock = threading.Lock()

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """Run it; what comes back belongs to the caller."""
        try:
            request = self.idle.pop()
        except IndexError:
            with self.lock:
                request = self.compiled.create_infer_request()
        found = request.infer([arg.contiguous().numpy() for arg in args], share_inputs=True)
        out = [torch.from_numpy(np.array(value)) for value in found.values()]
        self.idle.append(request)
        return out


def converted(module: nn.Module, example: tuple[Tensor, ...]) -> Any:
    """The graph of a module, every size of its inputs free."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated in torch, and warns of every shape
        decoder = TorchScriptPythonDecoder(module, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def compress(model: Any, bits: int) -> None:
    """Replace the large constant matrices of its products, but the last one, by narrow ones and scales."""
    products = [
        op for op in model.get_ordered_ops() if op.get_type_name() == "MatMul" and _weight(op) is not None
    ]
    for product in products[:-1]:
        constant = _weight(product)
        if (
            constant.get_element_type().to_dtype() != np.float32
            or not product.get_attributes()["transpose_b"]
        ):
            continue
        narrow = _narrow(np.array(constant.data), bits)
        product.input(1).replace_source_output(narrow.output(0))


def _weight(product: Any) -> Any:
    """The constant that it multiplies with, if that is large."""
    source = product.input_value(1).get_node()
    if source.get_type_name() != "Constant" or np.prod(source.get_output_shape(0)) < LEAST_WEIGHTS:
        return None
    return source


def _narrow(
    weight: NDArray[np.float32],  # [D', D]
    bits: int,
) -> Any:
    """The same matrix as an operation on narrow weights."""
    from openvino import opset13 as ops

    rows, width = weight.shape
    group = GROUP if bits == 4 and width % GROUP == 0 else width
    number, scale = rounded(weight.reshape(rows, -1, group), bits)
    if group == width:
        number, scale = number.reshape(rows, width), scale.reshape(rows, 1)
    wide = ops.multiply(ops.convert(_constant(number, bits), "f32"), ops.constant(scale))
    return wide if group == width else ops.reshape(wide, ops.constant(np.array([rows, width])), False)


def rounded(
    weight: NDArray[np.float32],  # [D', groups, D / groups]
    bits: int,
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:  # the same shape, and [D', groups, 1]
    """The nearest symmetric weights of so many bits, and the scale of each group."""
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weight).max(axis=2, keepdims=True) / most
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _constant(number: NDArray[np.int8], bits: int) -> Any:
    import openvino
    from openvino import opset13 as ops

    if bits == 8:
        return ops.constant(number)
    low, high = number.reshape(-1, 2).T.astype(np.uint8) & 0x0F
    packed = openvino.Tensor(openvino.Type.i4, openvino.Shape(number.shape))  # owns its memory
    packed.data.reshape(-1)[:] = low | (high << 4)
    return ops.constant(packed)


def build(bits: int, bf16: bool, part: Part, folder: ModelFolder, models: Models, stages: Stages) -> Stages:
    """One part run by OpenVINO.

    Raises:
        UsageError: a part of another family, which has no graph.
    """
    with torch.no_grad():
        if part == "llm":
            return replaced(stages, part, _language(models, stages, bits, bf16))
        if part == "velocity":
            return stages._replace(velocity=_velocity(models, bf16))
        return stages._replace(vocode=_vocode(models, bf16))


def _language(models: Models, stages: Stages, bits: int, bf16: bool) -> Stages:
    llm = models.llm
    if not isinstance(llm, SpeechLanguageModel):
        raise UsageError("the language model of CosyVoice 1 has no OpenVINO graph; leave the llm out")
    c = llm.config
    cache = llm.empty_cache(1, EXAMPLE_PAST)
    sees = torch.ones(1, 1, 2, 2 + EXAMPLE_PAST, dtype=torch.bool)
    positions = torch.arange(EXAMPLE_PAST, EXAMPLE_PAST + 2)[None]
    graph = Compiled(LanguageGraph(llm), (torch.zeros(1, 2, c.width), positions, sees, *cache), bits, bf16)

    def run(x: Tensor, positions: Tensor, sees: Tensor, cache: Cache) -> Tensor:
        past, end = sees.shape[3] - x.shape[1], sees.shape[3]
        logp, keys, values = graph(
            x, positions, sees, cache.keys[:, :, :, :past], cache.values[:, :, :, :past]
        )
        cache.keys[:, :, :, past:end], cache.values[:, :, :, past:end] = keys, values
        return logp

    @torch.inference_mode()
    def prefill(text: Tensor, speech: Tensor, cache: Cache) -> Tensor:
        x = llm.prompt(text, speech)
        length = x.shape[1]
        before = torch.ones(length, length, dtype=torch.bool).tril().expand(len(x), 1, -1, -1)
        return run(x, torch.arange(length).expand(len(x), -1), before, cache)

    @torch.inference_mode()
    def step(token: Tensor, position: Tensor, sees: Tensor, cache: Cache) -> Tensor:
        return run(llm.speech_embedding(token)[:, None], position[:, None], sees, cache)

    @torch.inference_mode()
    def read(numbers: Tensor, kinds: Tensor, positions: Tensor, sees: Tensor, cache: Cache) -> Tensor:
        return run(llm.mixed(numbers, kinds), positions, sees, cache)

    return stages._replace(new_cache=llm.empty_cache, prefill=prefill, step=step, read=read)


def _velocity(models: Models, bf16: bool) -> Any:
    module, bins = VelocityGraph(models.flow.velocity), models.flow.config.mel_bins
    empty, kinds = module.empty(GUIDED, bins)
    mel = torch.zeros(GUIDED, bins, EXAMPLE_FRAMES)
    past = EXAMPLE_PAST if "since start" in kinds else 0
    slots = [
        slot.new_zeros(*slot.shape[:2], past, slot.shape[3]) if kind == "since start" else slot
        for slot, kind in zip(empty, kinds, strict=True)
    ]
    sees = torch.ones(GUIDED, EXAMPLE_FRAMES, past + EXAMPLE_FRAMES, dtype=torch.bool)
    time = module.time(torch.zeros(GUIDED))
    example = (mel, mel[:, :1] + 1, sees, mel, time, mel[:, :, 0], mel, *slots)
    graph = Compiled(module, example, 32, bf16)

    @torch.inference_mode()
    def velocity(
        x: Tensor,
        real: Tensor,
        sees: Tensor,
        mu: Tensor,
        t: Tensor,
        speaker: Tensor,
        prompt: Tensor,
        memory: Memory | None = None,
    ) -> Tensor:
        past = recall(memory, empty)
        out, *new = graph(x, real, sees, mu, module.time(t), speaker, prompt, *past)
        remember(memory, kinds, new)
        return out

    return velocity


def _vocode(models: Models, bf16: bool) -> Any:
    vocoder = models.vocoder
    if not isinstance(vocoder, Vocoder):
        raise UsageError("the causal vocoder of CosyVoice 3 has no OpenVINO graph; leave the vocoder out")
    c = vocoder.config
    mel, excitation = (
        torch.zeros(1, c.mel_bins, EXAMPLE_FRAMES),
        torch.zeros(1, EXAMPLE_FRAMES * c.samples_per_frame),
    )
    graph = Compiled(VocoderGraph(vocoder), (mel, vocoder.spectrum(excitation)), 32, bf16)

    @torch.inference_mode()
    def vocode(mel: Tensor, excitation: Tensor) -> Tensor:
        (spectrum,) = graph(mel, vocoder.spectrum(excitation.squeeze(1)))
        return vocoder.waveform(spectrum)

    return vocode


def availability(bf16: bool, device: torch.device) -> Availability:
    """Whether OpenVINO is installed, and the model runs where it would."""
    if find_spec("openvino") is None:
        return Availability(False, "OpenVINO is not installed; pip install 'cosyrt[openvino]'")
    if device.type != "cpu":
        return Availability(False, f"it is used for the CPU, the model runs on {device.type}")
    if bf16 and not supported("bf16"):
        return Availability(False, "this CPU has no bf16 arithmetic")
    return Availability(True)


def _backend(
    name: str, precision: Precision, parts: Iterable[Part], bits: int, bf16: bool, gain: float
) -> Backend:
    return Backend(
        name=name,
        precision=precision,
        parts=tuple(parts),
        availability=partial(availability, bf16),
        build=partial(build, bits, bf16),
        predicts=lambda device: gain,
    )


OPENVINO = (
    _backend("openvino", "exact", ("llm", "velocity", "vocode"), 32, False, 1.2),
    _backend("openvino-bf16", "half", ("velocity", "vocode"), 32, True, 2.5),
    _backend("openvino-int8", "quantised", ("llm",), 8, False, 3.0),
    _backend("openvino-int4", "quantised", ("llm",), 4, False, 4.5),
)
