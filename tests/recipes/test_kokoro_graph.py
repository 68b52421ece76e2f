"""A quantised graph that is made plain again is nearer to the model that it was quantised from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from recipes.builtin_voice.kokoro_graph import dequantize

RANDOM = np.random.default_rng(0)
LAYERS = {  # shape of the weights, of the input, and further inputs
    "Conv": ((6, 4, 3), (1, 4, 20), {"bias": (6,)}),
    "MatMul": ((8, 5), (3, 8), {}),
    "LSTM": ((2, 16, 4), (7, 1, 4), {"R": (2, 16, 4), "B": (2, 32)}),
}


def graph_of(kind: str) -> onnx.ModelProto:
    """A model of one layer with random weights."""
    weights, shape, further = LAYERS[kind]
    constants = {
        name: numpy_helper.from_array(RANDOM.standard_normal(size).astype(np.float32), name)
        for name, size in {"W": weights, **further}.items()
    }
    settings = {"hidden_size": 4, "direction": "bidirectional"} if kind == "LSTM" else {}
    node = helper.make_node(kind, ["x", *constants], ["y"], name="layer", **settings)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "one layer", [given], [made], list(constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def computed(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_weights_stay_and_inputs_are_not_rounded(kind: str, per_channel: bool, tmp_path: Path) -> None:
    """Nothing whole is left, and the values are nearer to the first model's than the quantised ones."""
    if kind == "LSTM" and per_channel:
        pytest.skip("the packages have one scale for each direction")
    model, path = graph_of(kind), tmp_path / "quantized.onnx"
    quantize_dynamic(model, path, per_channel=per_channel, weight_type=QuantType.QUInt8)
    x = RANDOM.standard_normal(LAYERS[kind][1]).astype(np.float32)
    quantized = onnx.load(path)
    want, rounded = computed(model, x), computed(quantized, x)
    assert {"DynamicQuantizeLinear", "DynamicQuantizeLSTM"} & {each.op_type for each in quantized.graph.node}
    dequantize(quantized.graph)
    found = computed(quantized, x)

    assert not [
        each.op_type for each in quantized.graph.node if "Integer" in each.op_type or "Quant" in each.op_type
    ]
    assert np.abs(found - want).mean() < np.abs(rounded - want).mean()
    assert np.abs(found - rounded).max() < 0.2
