"""Packing the trained parts as a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into, write_tensors
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from recipes.builtin_voice import export

GOLDEN = Path(__file__).parents[1] / "golden"
CONFIG = VocoderConfig(
    channels=16, upsample_rates=(5, 3), upsample_kernels=(11, 7), transform_size=128, transform_hop=32,
    kernels=(3,), dilations=((1,),), source_kernels=(7, 7), source_dilations=((1,), (1,)), pitch_channels=8,
)  # fmt: skip


def test_a_weight_near_zero_survives_half_precision(tmp_path: Path) -> None:
    """Training leaves some rows at 1e-8; as a direction in float16 they would be zero over zero."""
    vocoder = Vocoder(CONFIG)
    with torch.no_grad():
        vocoder.conv_post.weight[3] *= 1e-8
        vocoder.conv_post.weight[4] = 0
    shutil.copy(GOLDEN / "cosyvoice2-small.yaml", tmp_path / "cosyvoice2.yaml")
    folder = ModelFolder.open(tmp_path)
    write_tensors(folder.path / "hift.safetensors", export.half(export.with_weight_norm(vocoder)))
    again = Vocoder(CONFIG)
    load_into(again, folder.tensors("hift"), file="hift.safetensors")
    for key, value in again.state_dict().items():
        torch.testing.assert_close(value, vocoder.state_dict()[key], atol=2e-3, rtol=2e-3)


def test_half_precision_onnx_computes_in_float32(tmp_path: Path) -> None:
    """A large weight takes half the room; what the file computes changes by its rounding only."""
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "one.onnx"
    onnx.save(model, path)
    before = path.stat().st_size
    export.store_half(path)
    x = np.ones((1, 64), np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ weight, atol=0.05)
    assert path.stat().st_size < 0.6 * before
