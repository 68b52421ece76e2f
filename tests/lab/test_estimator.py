"""The ONNX file of the velocity: upstream's names and axes, and the numbers of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.engine.stages import eager
from cosyrt.errors import ArchiveError, MissingDependency, UsageError
from cosyrt.lab import estimator
from cosyrt.lab.estimator import CHUNKED, INPUTS, OFFICIAL, example, export
from cosyrt.models.layers import attention_mask
from cosyrt.models.velocity import FlowInputs


@pytest.mark.parametrize("family", [pytest.param("1", marks=pytest.mark.slow), "2", "3"])
def test_the_file_is_upstreams(
    tiny1_folder: Path, tiny_folder: Path, tiny3_folder: Path, tmp_path: Path, family: str
) -> None:
    """Inputs, output, free axis and opset of each family; what runs it gets the velocity of our stages."""
    folder = ModelFolder.open({"1": tiny1_folder, "2": tiny_folder, "3": tiny3_folder}[family])
    made = export(folder, out=tmp_path / "new")

    assert [each.path.name for each in made] == ([OFFICIAL] if family == "1" else [OFFICIAL, CHUNKED])
    assert all(each.path.stat().st_size == each.bytes and each.cases == 10 for each in made)
    model = onnx.load(made[0].path)
    assert model.opset_import[0].version == 18
    sizes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sizes.pop("estimator_out")[1:] == [80, "seq_len"]
    wide = [2, 80, "seq_len"]
    assert sizes == {
        "x": wide,
        "mask": [2, 1, "seq_len"],
        "mu": wide,
        "t": [2],
        "spks": [2, 80],
        "cond": wide,
    }

    settings, networks = build(folder)
    stages, given = eager(networks), example(80, 77)
    x, mask, mu, t, speaker, prompt = given
    for each in made:
        chunk = settings.flow.velocity.chunk_frames if each.path.name == CHUNKED else None  # type: ignore[union-attr]
        looked_at = attention_mask(mask[:, 0] > 0, chunk)
        with torch.inference_mode():
            want = stages.velocity(FlowInputs(x, mask, looked_at, mu, t, speaker, prompt), None)
        session = onnxruntime.InferenceSession(each.path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {name: value.numpy() for name, value in zip(INPUTS, given, strict=True)})
        assert np.allclose(found, want.numpy(), atol=1e-4 * float(want.abs().max()))


def test_a_graph_with_other_numbers_is_not_kept(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not agree with the network gets no name."""
    monkeypatch.setattr(estimator, "TOLERANCE", -1.0)
    with pytest.raises(ArchiveError, match=r"estimator\.fp32\.onnx differs by .* from the network; not kept"):
        export(ModelFolder.open(tiny_folder), out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_line(tiny1_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that cannot be written, and the package that writes graphs missing."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write into"):
        export(ModelFolder.open(tiny1_folder), out=tmp_path / "file")
    monkeypatch.setattr(estimator, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"the package onnx, .* is not installed; pip install onnx"):
        export(ModelFolder.open(tiny1_folder), out=tmp_path)
