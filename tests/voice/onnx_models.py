"""Tiny ONNX models with the inputs and outputs of the official encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]


def write_speech_tokenizer(path: Path, *, every_frames: int = 4) -> None:
    """float32 [1, 128, T], int32 [1] = T → int32 [1, S]: token s is T + s, one every so many mel frames."""
    constants = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "step": np.array(every_frames, np.int64),
        "axis": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Shape", ["speech"], ["length"], start=2, end=3),
        helper.make_node("Squeeze", ["length", "axis"], ["frames"]),
        helper.make_node("Div", ["frames", "step"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["numbers32"], to=TensorProto.INT32),
        helper.make_node("Add", ["numbers32", "speech_length"], ["row"]),
        helper.make_node("Unsqueeze", ["row", "axis"], ["codes"]),
    ]
    inputs = [
        helper.make_tensor_value_info("speech", TensorProto.FLOAT, [1, 128, "T"]),
        helper.make_tensor_value_info("speech_length", TensorProto.INT32, [1]),
    ]
    outputs = [helper.make_tensor_value_info("codes", TensorProto.INT32, [1, "S"])]
    _save(path, nodes, inputs, outputs, constants)


def write_campplus(path: Path, *, width: int = 192) -> None:
    """float32 [1, T, 80] → float32 [1, 192]: the loudest value of each band, by a fixed matrix."""
    matrix = np.random.default_rng(0).standard_normal((80, width)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["peaks"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["peaks", "matrix"], ["output"]),
    ]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, "T", 80])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, width])]
    _save(path, nodes, inputs, outputs, {"matrix": matrix})


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, np.ndarray],
) -> None:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), path)
