"""An ONNX file that need not end, or loads a program, is refused before it is opened."""

from __future__ import annotations

from pathlib import Path

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


def branch(to: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["a"], ["b"], then_branch=INNER, else_branch=to)


INNER = graph(helper.make_node("Identity", ["c"], ["d"]))
ENDLESS = graph(helper.make_node("Loop", ["c"], ["d"], body=INNER))
DEEP = INNER
for _ in range(6):
    DEEP = graph(branch(DEEP))


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


def test_a_branch_is_passed(tmp_path: Path) -> None:
    """Branches to standard operators end: exporters make them of a squeeze."""
    check_graph(write(tmp_path / "x.onnx", branch(graph(branch(INNER)))))


REFUSED = {
    "a loop": (helper.make_node("Loop", ["a"], ["b"], body=INNER), "operator b'Loop'"),
    "a scan": (helper.make_node("Scan", ["a"], ["b"], body=INNER, num_scan_inputs=1), "operator b'Scan'"),
    "a branch to a loop": (branch(ENDLESS), "operator b'Loop'"),
    "a branch to a branch to a loop": (branch(graph(branch(ENDLESS))), "operator b'Loop'"),
    "many branches in one another": (branch(DEEP), "or 4 branches in one another"),
    "a map": (helper.make_node("SequenceMap", ["a"], ["b"], body=INNER), "operator b'SequenceMap'"),
    "an inner graph": (helper.make_node("Identity", ["a"], ["b"], body=INNER), "which repeats a graph"),
    "inner graphs": (helper.make_node("Identity", ["a"], ["b"], bodies=[INNER]), "which repeats a graph"),
    "another domain": (helper.make_node("Add", ["a"], ["b"], domain="com.x"), r"operator of b'com\.x'"),
    "microsoft's": (helper.make_node("Attention", ["a"], ["b"], domain="com.microsoft"), "com.microsoft"),
    "a long domain": (helper.make_node("Add", ["a"], ["b"], domain="x" * 10**6), "operator of b'xxx"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("last", [True, False])
def test_what_need_not_end_is_refused(what: str, last: bool, tmp_path: Path) -> None:
    """A loop, a branch, a graph in a graph or an operator of another domain is named, wherever it stands."""
    node, reason = REFUSED[what]
    others = [helper.make_node("Identity", ["a"], ["b"])] * 50
    path = write(tmp_path / "x.onnx", *([*others, node] if last else [node, *others]))

    with pytest.raises(WeightsError, match=reason) as refused:
        check_graph(path)
    assert len(str(refused.value)) < 400


def test_functions_are_refused(tmp_path: Path) -> None:
    """A function could hold any of these."""
    function = helper.make_function(
        "", "f", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    path = write(tmp_path / "x.onnx", helper.make_node("f", ["a"], ["b"]), functions=[function])

    with pytest.raises(WeightsError, match="defines functions"):
        check_graph(path)


def test_operators_have_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of very many operators is refused."""
    monkeypatch.setattr("cosyrt.checkpoint.onnx_graph.MAX_NODES", 10)
    path = write(tmp_path / "x.onnx", *[helper.make_node("Identity", ["a"], ["b"])] * 11)

    with pytest.raises(WeightsError, match="more than 10 operators, or"):
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
    path = write(tmp_path / "x.onnx", *[node for node, _ in REFUSED.values() if not node.domain])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 1_000))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        check_graph(path)
    except WeightsError as error:
        assert "\n" not in str(error)
