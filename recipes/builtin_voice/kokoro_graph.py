"""The graph of Kokoro-82M in float32, and in three parts, of which the middle one may run in bfloat16.

The packages hold its weights in eight bits, multiplied by inputs that are rounded to eight bits as well. Only
the weights stay rounded here. In bfloat16 as a whole the model flattens the pitch; its decoder, where nearly
all of the time goes, does not mind, as long as text, pitch, source and inverse transform stay in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

DURATIONS = "/encoder/Clip_output_0"  # frames of every letter
BEFORE_DECODER: dict[str, list[int | str]] = {
    "/decoder/Slice_output_0": [1, 128],  # half of the style
    "/encoder/MatMul_1_output_0": [1, 512, "frames"],
    "/encoder/Reshape_1_output_0": [1, "twice"],
    "/decoder/decoder/Unsqueeze_output_0": [1, 1, "twice"],
    "/decoder/decoder/generator/Concat_3_output_0": [1, 22, "steps"],  # spectrum of the source
}
AFTER_DECODER = "/decoder/decoder/generator/conv_post/Conv_output_0"
LSTM_INPUTS = 8
PLAIN = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def parts(model: Any) -> tuple[Any, Any, Any]:
    """Divide the model: what is before the decoder, and the durations; the decoder; what is after it."""
    for name in (*BEFORE_DECODER, DURATIONS, AFTER_DECODER):
        shape = BEFORE_DECODER.get(name)
        model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    extract = Extractor(model).extract_model
    return (
        extract([each.name for each in model.graph.input], [*BEFORE_DECODER, DURATIONS]),
        extract(list(BEFORE_DECODER), [AFTER_DECODER]),
        extract([AFTER_DECODER], [each.name for each in model.graph.output]),
    )


def float_model(weights: bytes) -> Any:
    """Read the model as it is in the packages, with float32 arithmetic."""
    model = onnx.load_from_string(weights)
    dequantize(model.graph)
    return model


def dequantize(graph: Any) -> None:
    """Let a graph that onnxruntime quantised dynamically compute in float32 with the same weights.

    What was divided by the scale of the inputs is not: that scale is 1, and nothing is rounded any more.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    biases: set[str] = set()  # by their scale, and no longer rounded
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            _keep(graph, node.output[1], np.float32(1))
            node.CopyFrom(helper.make_node("Identity", node.input, node.output[:1]))
        elif node.op_type in PLAIN:
            node.CopyFrom(_plain(graph, constants, node))
        elif node.op_type == "DynamicQuantizeLSTM":
            node.CopyFrom(_lstm(graph, constants, node))
        elif node.op_type == "Div" and node.input[0] in constants:
            biases.update(node.output)
        elif node.op_type == "Floor" and node.input[0] in biases:
            node.op_type = "Identity"
            biases.update(node.output)
        elif node.op_type == "Cast" and node.input[0] in biases:
            node.attribute[0].i = TensorProto.FLOAT
    del graph.value_info[:]  # they tell the old types
    _drop_unused(graph)


def _keep(graph: Any, name: str, value: NDArray[Any] | np.generic) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _plain(graph: Any, constants: dict[str, NDArray[Any]], node: Any) -> Any:
    """Make a convolution or product of floats; its weights count in steps of their scale."""
    weights = constants[node.input[1]].astype(np.float32) - constants[node.input[3]].astype(np.float32)
    plain = f"{node.name} weights"
    _keep(graph, plain, weights)
    made = helper.make_node(PLAIN[node.op_type], [node.input[0], plain], node.output)
    made.attribute.extend(node.attribute)
    return made


def _lstm(graph: Any, constants: dict[str, NDArray[Any]], node: Any) -> Any:
    """Make an LSTM of floats; a quantised one has its weights transposed, and scales for each direction."""
    given = list(node.input)
    for place, scale, zero in ((1, 8, 9), (2, 10, 11)):
        rows, zeros, scales = (constants[given[n]].astype(np.float32) for n in (place, zero, scale))
        weights = (rows - zeros[:, None, None]) * scales[:, None, None]
        given[place] = _keep(graph, f"{node.name} weights {place}", weights.transpose(0, 2, 1).copy())
    while len(given) > LSTM_INPUTS or not given[-1]:
        given.pop()
    made = helper.make_node("LSTM", given, node.output)
    made.attribute.extend(each for each in node.attribute if each.name != "input_forget")
    return made


def _drop_unused(graph: Any) -> None:
    """Leave out nodes and weights that nothing needs any more."""
    needed = {each.name for each in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    for field, left in (
        (graph.node, kept[::-1]),
        (graph.initializer, [each for each in graph.initializer if each.name in needed]),
    ):
        del field[:]
        field.extend(left)
