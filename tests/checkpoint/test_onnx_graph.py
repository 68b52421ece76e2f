"""An ONNX file that need not end, or loads a program, is refused before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import cosyrt
from cosyrt.checkpoint.onnx_graph import check_graph
from cosyrt.errors import WeightsError

BUILTIN = Path(cosyrt.__file__).parent / "builtin"


def graph(node: onnx.NodeProto) -> onnx.GraphProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "cd"]
    return helper.make_graph([node], "inner", values[:1], values[1:])


def branch(one: onnx.GraphProto, other: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["a"], ["b"], then_branch=one, else_branch=other)


NOTHING = graph(helper.make_node("Identity", ["c"], ["d"]))
SQUEEZE = graph(helper.make_node("Squeeze", ["c"], ["d"]))
TANH = graph(helper.make_node("Tanh", ["c"], ["d"]))
ENDLESS = graph(helper.make_node("Loop", ["c"], ["d"], body=NOTHING))


def write(path: Path, *nodes: onnx.NodeProto, **more: object) -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    weights = [numpy_helper.from_array(np.ones(10_000, np.float32), "w")]
    graph = helper.make_graph(list(nodes), "encoder", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph, **more), path)
    return path


@pytest.mark.parametrize("name", ["campplus.onnx", "speech_tokenizer_v2.onnx"])
def test_encoders_are_passed(name: str) -> None:
    """The built-in encoders are graphs of standard operators."""
    check_graph(BUILTIN / name)


@pytest.mark.parametrize("branches", [(SQUEEZE, NOTHING), (NOTHING, SQUEEZE)])
def test_a_squeeze_of_an_unknown_axis_is_passed(
    branches: tuple[onnx.GraphProto, onnx.GraphProto], tmp_path: Path
) -> None:
    """Exporters write it as a branch that squeezes or does nothing."""
    check_graph(write(tmp_path / "x.onnx", branch(*branches)))


def node(operator: str, **more: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["a"], ["b"], **more)


REFUSED = {
    "a loop": (node("Loop", body=NOTHING), "operator b'Loop'"),
    "a scan": (node("Scan", body=NOTHING, num_scan_inputs=1), "operator b'Scan'"),
    "a branch to a loop": (branch(SQUEEZE, ENDLESS), "operator b'If' with a graph"),
    "a branch to two loops": (branch(ENDLESS, ENDLESS), "operator b'If' with a graph"),
    "a branch to work": (branch(SQUEEZE, TANH), "operator b'If' with a graph"),
    "a branch to nothing": (branch(NOTHING, NOTHING), "operator b'If' with a graph"),
    "a branch to a branch": (branch(SQUEEZE, graph(branch(SQUEEZE, NOTHING))), "operator b'If' with a graph"),
    "a branch without graphs": (node("If"), "operator b'If'"),
    "a map": (node("SequenceMap", body=NOTHING), "operator b'SequenceMap'"),
    "a sequence": (node("SequenceConstruct"), "operator b'SequenceConstruct'"),
    "an optional": (node("Optional"), "operator b'Optional'"),
    "text": (node("StringNormalizer"), "operator b'StringNormalizer'"),
    "random numbers": (node("RandomNormalLike"), "operator b'RandomNormalLike'"),
    "a recurrent network": (node("LSTM", hidden_size=1), "operator b'LSTM'"),
    "a name of none": (node("Frobnicate"), "operator b'Frobnicate'"),
    "no name": (node(""), "operator b''"),
    "an inner graph": (node("Identity", body=NOTHING), "with a graph in it"),
    "inner graphs": (node("Identity", bodies=[NOTHING]), "with a graph in it"),
    "another domain": (node("Add", domain="com.x"), r"operator of b'com\.x'"),
    "microsoft's": (node("Attention", domain="com.microsoft"), "com.microsoft"),
    "a long domain": (node("Add", domain="x" * 10**6), "operator of b'xxx"),
    "a long name": (node("x" * 10**6), "operator b'xxx"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("last", [True, False])
def test_what_need_not_end_is_refused(what: str, last: bool, tmp_path: Path) -> None:
    """What is not on the list, has a graph in it or another domain is named, wherever it stands."""
    refused_node, reason = REFUSED[what]
    others = [helper.make_node("Identity", ["a"], ["b"])] * 50
    path = write(tmp_path / "x.onnx", *([*others, refused_node] if last else [refused_node, *others]))

    with pytest.raises(WeightsError, match=reason) as refused:
        check_graph(path)
    assert len(str(refused.value)) < 400


def test_functions_are_refused(tmp_path: Path) -> None:
    """A function could hold any of these."""
    function = helper.make_function(
        "", "f", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    path = write(tmp_path / "x.onnx", helper.make_node("Identity", ["a"], ["b"]), functions=[function])

    with pytest.raises(WeightsError, match="defines functions"):
        check_graph(path)


def test_operators_have_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of very many operators is refused."""
    monkeypatch.setattr("cosyrt.checkpoint.onnx_graph.MAX_NODES", 10)
    path = write(tmp_path / "x.onnx", *[helper.make_node("Identity", ["a"], ["b"])] * 11)

    with pytest.raises(WeightsError, match="more than 10 operators"):
        check_graph(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x3a\xff\xff\x03", b"\x3b", b"\x80"])
def test_what_is_no_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    """An empty file, endless numbers and fields that end outside are one line."""
    (tmp_path / "x.onnx").write_bytes(content)

    with pytest.raises(WeightsError, match="not a whole ONNX file"):
        check_graph(tmp_path / "x.onnx")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    """Any byte of a file changed: it is passed on or refused."""
    path = write(tmp_path / "x.onnx", *[each for each, _ in REFUSED.values() if not each.domain])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 1_000))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        check_graph(path)
    except WeightsError as error:
        assert "\n" not in str(error)
