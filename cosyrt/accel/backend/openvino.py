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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cosyrt.accel.artifacts import ArtifactFormat, kept
from cosyrt.accel.backend.compiled import compiled_stages, refusal
from cosyrt.accel.backend.graph_rewrites import join_products, rewrite
from cosyrt.accel.backend.half_weights import supported
from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part, Precision
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.machine.facts import Machine
from cosyrt.startup import runtime

GROUP = 64  # weights of 4 bits that share a scale
KEYS_DIMENSIONS = 4  # [B, H, T, E]; nothing else that a graph takes or gives has as many
LOGIT_BITS = 8
LEAST_WEIGHTS = 65_536  # a matrix smaller than this is left as it is


class Compiled:
    """A compiled graph that any number of threads may call.

    In bf16 keys and values come and go as bf16: that is what is multiplied, and a stream keeps half as much.
    """

    def __init__(self, model: Any, bf16: bool) -> None:
        openvino = runtime("openvino")

        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = narrowed(model) if bf16 else model
        self.compiled: Any = openvino.Core().compile_model(model, "CPU", settings)
        self.inputs, self.outputs = (
            [torch.bfloat16 if port.get_element_type() == openvino.Type.bf16 else None for port in ports]
            for ports in (self.compiled.inputs, self.compiled.outputs)
        )
        self.idle: deque[Any] = deque()
        self.lock = threading.Lock()

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """Run the graph; the results belong to the caller."""
        try:
            request = self.idle.pop()
        except IndexError:
            with self.lock:
                request = self.compiled.create_infer_request()
        given = [_given(arg.to(dtype or arg.dtype)) for arg, dtype in zip(args, self.inputs, strict=True)]
        found = request.infer(given, share_inputs=True).values()
        out = [torch.from_numpy(np.array(value)) for value in found]
        self.idle.append(request)
        return [each if d is None else each.view(d) for each, d in zip(out, self.outputs, strict=True)]


def _given(arg: Tensor) -> Any:
    """Wrap a tensor for OpenVINO, its memory shared; NumPy has no bf16."""
    arg = arg.contiguous()
    if arg.dtype != torch.bfloat16:
        return arg.numpy()
    openvino = runtime("openvino")

    return openvino.Tensor(arg.view(torch.uint16).numpy(), openvino.Shape(arg.shape), openvino.Type.bf16)


def narrowed(model: Any) -> Any:
    """Change the keys and values (four dimensions) of a graph to bf16."""
    Type = runtime("openvino").Type

    edges = runtime("openvino.preprocess").PrePostProcessor(model)
    for ports, edge in ((model.inputs, edges.input), (model.outputs, edges.output)):
        for number, port in enumerate(ports):
            if len(port.get_partial_shape()) == KEYS_DIMENSIONS:
                edge(number).tensor().set_element_type(Type.bf16)
    return edges.build()


def converted(module: nn.Module, example: tuple[Tensor, ...], bits: int = 32) -> Any:
    """Convert a module to a graph with free input sizes and weights of that many bits."""
    FrontEndManager = runtime("openvino.frontend").FrontEndManager
    TorchScriptPythonDecoder = runtime("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated in torch, and warns of every shape
        decoder = TorchScriptPythonDecoder(module, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    rewrite(model)
    if bits < 32:
        join_products(model)
        compress(model, bits)
    return model


def compress(model: Any, bits: int) -> None:
    """Replace the large constant matrices of a graph by narrow ones and scales.

    The last one gives the logits and has 8 bits: in float32 it took 6 % of a token's time.
    """
    products = [
        op for op in model.get_ordered_ops() if op.get_type_name() == "MatMul" and _weight(op) is not None
    ]
    for product in products:
        constant = _weight(product)
        if (
            constant.get_element_type().to_dtype() != np.float32
            or not product.get_attributes()["transpose_b"]
        ):
            continue
        narrow = _narrow(np.array(constant.data), LOGIT_BITS if product is products[-1] else bits)
        product.input(1).replace_source_output(narrow.output(0))


def _weight(product: Any) -> Any:
    """Constant that a product multiplies with, if it is large."""
    source = product.input_value(1).get_node()
    if source.get_type_name() != "Constant" or np.prod(source.get_output_shape(0)) < LEAST_WEIGHTS:
        return None
    return source


def _narrow(
    weight: NDArray[np.float32],  # [D', D]
    bits: int,
) -> Any:
    """Express a matrix as an operation on narrow weights."""
    ops = runtime("openvino.opset13")

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
    """Round to the nearest symmetric weights of that many bits, with a scale for each group."""
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weight).max(axis=2, keepdims=True) / most
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _constant(number: NDArray[np.int8], bits: int) -> Any:
    openvino = runtime("openvino")
    ops = runtime("openvino.opset13")

    if bits == 8:
        return ops.constant(number)
    low, high = number.reshape(-1, 2).T.astype(np.uint8) & 0x0F
    packed = openvino.Tensor(openvino.Type.i4, openvino.Shape(number.shape))  # owns its memory
    packed.data.reshape(-1)[:] = low | (high << 4)
    return ops.constant(packed)


def write_graph(graph: Any, folder: Path) -> None:
    """Write a graph as two files: its structure, and its constants, which are mapped when it is read."""
    runtime("openvino").save_model(graph, folder / "graph.xml", compress_to_fp16=False)


def read_graph(folder: Path) -> Any:
    """Read a graph that `write_graph` has written."""
    return runtime("openvino").Core().read_model(folder / "graph.xml")


# Holds on any machine: what depends on the processor is compiled at each load.
GRAPH: ArtifactFormat[Any, Any] = ArtifactFormat(write=write_graph, read=read_graph, use=lambda graph: graph)


def build(bits: int, bf16: bool, part: Part, model: Model) -> Stages:
    """Run one part by OpenVINO."""

    def compile(module: nn.Module, example: tuple[Tensor, ...]) -> Compiled:
        # A graph with a memory has more arguments than the same module without.
        name = f"openvino-{type(module).__name__}{len(example)}-{bits}"
        return Compiled(kept(model.folder, name, lambda: converted(module, example, bits), GRAPH), bf16)

    return compiled_stages(part, model.networks, model.stages, compile)


def availability(bf16: bool, device: torch.device) -> Availability:
    """Tell whether OpenVINO is installed, and the model runs on the CPU."""
    if find_spec("openvino") is None:
        return Availability(False, "OpenVINO is not installed; pip install 'cosyrt[openvino]'")
    if device.type != "cpu":
        return Availability(False, f"it is used for the CPU, the model runs on {device.type}")
    if bf16 and not supported("bf16"):
        return Availability(False, "this CPU has no bf16 arithmetic")
    return Availability(True)


def advice(bits: int, machine: Machine, model: Footprint) -> Advice:
    """Judge OpenVINO's graphs by the processor, and 4-bit weights by what others heard of them."""
    if machine.gpu is not None:
        return Advice("leave", "cosyrt runs it on the CPU, which the card outdoes")
    if not machine.system.endswith(("x86_64", "AMD64", "unknown")):
        return Advice("leave", "it was tried on x86 CPUs only")
    todo = "" if "openvino" in machine.runtimes else "install cosyrt[openvino]; "
    if bits == 4:
        heard = "others got hardly any speech from 4 bits, so only behind the parity check"
        return Advice("try", f"{todo}half of int8 again; {heard}; {MEASURE}")
    return Advice("use", f"{todo}one compiled graph for all lengths, quantised weights, bf16; {MEASURE}")


def _backend(
    name: str, precision: Precision, parts: Iterable[Part], bits: int, bf16: bool, gain: float
) -> Backend:
    return Backend(
        name=name,
        precision=precision,
        parts=tuple(parts),
        availability=partial(availability, bf16),
        build=partial(build, bits, bf16),
        refusal=refusal,
        predicts=lambda device: gain,
        option="int4 language model" if bits == 4 else "OpenVINO",
        advice=partial(advice, bits),
        rows=None,
        kept=True,
    )


BACKENDS = (
    _backend("openvino", "exact", ("llm", "velocity", "vocode"), 32, False, 1.2),
    _backend("openvino-bf16", "half", ("velocity", "vocode"), 32, True, 2.5),
    _backend("openvino-int8", "quantised", ("llm",), 8, False, 3.0),
    _backend("openvino-int4", "quantised", ("llm",), 4, False, 4.5),
)
