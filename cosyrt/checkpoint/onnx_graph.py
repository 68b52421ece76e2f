"""What an ONNX file would compute, read from its bytes: enough to refuse what no encoder needs.

An encoder is a graph of arithmetic that ends when each operator has run once. Its operators are on a list:
those that exporters write for convolutions, attention and quantisation. Loops, functions, sequences, text,
random numbers and operators of other domains are not. One kind of branch is: exporters write a squeeze of an
axis whose size they do not know as `If`, with a squeeze on one side and nothing on the other. The file is a
nest of length-prefixed fields (protocol buffers); weights are stepped over.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cosyrt.errors import WeightsError

MAX_NODES = 100_000
OPERATORS = frozenset(
    name.encode()
    for name in (
        # arithmetic and comparison
        "Abs Add And Ceil Clip Cos Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf IsNaN Less "
        "LessOrEqual Log Max Mean Min Mod Mul Neg Not Or Pow Reciprocal Round Sign Sin Sqrt Sub Sum Tanh "
        "Where Xor "
        # networks
        "AveragePool BatchNormalization Conv ConvTranspose Dropout Einsum Elu Gelu Gemm GlobalAveragePool "
        "GlobalMaxPool GroupNormalization HardSigmoid HardSwish InstanceNormalization LayerNormalization "
        "LeakyRelu LogSoftmax LpNormalization MatMul MaxPool Mish PRelu RMSNormalization Relu Selu Sigmoid "
        "Softmax Softplus "
        # sums, places and orders
        "ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
        "ReduceSum ReduceSumSquare TopK "
        # shapes and places
        "Cast CastLike Concat Constant ConstantOfShape Expand Flatten Gather GatherElements GatherND "
        "Identity NonZero OneHot Pad Range Reshape ScatterElements ScatterND Shape Size Slice Split Squeeze "
        "Tile Transpose Trilu Unsqueeze "
        # weights in few bits
        "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul "
        "QuantizeLinear"
    ).split()
)
BRANCH, SQUEEZE, NOTHING = b"If", b"Squeeze", b"Identity"
DOMAINS = {b"", b"ai.onnx"}
# Numbers of fields in ModelProto, GraphProto, NodeProto and AttributeProto of onnx.proto.
MODEL_GRAPH, MODEL_FUNCTION = 7, 25
GRAPH_NODE = 1
NODE_ATTRIBUTE, NODE_OPERATOR, NODE_DOMAIN = 5, 4, 7
ATTRIBUTE_GRAPHS = {6, 11}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

Span = tuple[int, int]  # of bytes of the file


def check_graph(path: Path) -> None:
    """Refuse an ONNX file whose graph has operators that no encoder needs.

    Raises:
        WeightsError: it is not, or the file cannot be read.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            problem = _problem(data)
    except (OSError, ValueError, IndexError) as error:
        raise WeightsError(f"{path} is not a whole ONNX file; download it again") from error
    if problem:
        raise WeightsError(f"{path} {problem}, which no official encoder does; download it again")


def _problem(data: mmap.mmap) -> str:
    """Name the first thing that a file asks for and may not; empty when there is none."""
    for field, span in _fields(data, (0, len(data))):
        if field == MODEL_FUNCTION:
            return "defines functions"
        if field == MODEL_GRAPH and (problem := _problem_of_graph(data, span)):
            return problem
    return ""


def _problem_of_graph(data: mmap.mmap, graph: Span) -> str:
    nodes = _nodes(data, graph)
    if len(nodes) > MAX_NODES:
        return f"has more than {MAX_NODES} operators"
    return next(filter(None, (_problem_of_node(data, node) for node in nodes)), "")


def _nodes(data: mmap.mmap, graph: Span) -> list[Span]:
    """The operators of a graph, as many as it may have and one more."""
    return list(islice((span for field, span in _fields(data, graph) if field == GRAPH_NODE), MAX_NODES + 1))


def _problem_of_node(data: mmap.mmap, node: Span) -> str:
    operator, domain, graphs = _node(data, node)
    if domain not in DOMAINS:
        return f"has an operator of {domain!r}"
    if operator == BRANCH and _is_squeeze(data, graphs):
        return ""
    if operator not in OPERATORS or graphs:
        return f"has the operator {operator!r}" + (" with a graph in it" if graphs else "")
    return ""


def _is_squeeze(data: mmap.mmap, graphs: list[Span]) -> bool:
    """Whether a branch squeezes an axis or does nothing."""
    found = [[_node(data, node) for node in _nodes(data, graph)] for graph in graphs]
    plain = all(domain in DOMAINS and not inner for nodes in found for _, domain, inner in nodes)
    operators = sorted([name for name, *_ in nodes if name != b"Constant"] for nodes in found)
    return plain and operators == [[NOTHING], [SQUEEZE]]


def _node(data: mmap.mmap, node: Span) -> tuple[bytes, bytes, list[Span]]:
    """Name and domain of an operator, each cut to what a message can show, and the graphs in it."""
    operator, domain, graphs = b"", b"", list[Span]()
    for field, (start, end) in _fields(data, node):
        if field == NODE_OPERATOR:
            operator = data[start : min(end, start + 80)]
        elif field == NODE_DOMAIN:
            domain = data[start : min(end, start + 80)]
        elif field == NODE_ATTRIBUTE:
            inner = _fields(data, (start, end))
            graphs += [span for number, span in inner if number in ATTRIBUTE_GRAPHS]
    return operator, domain, graphs


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """The number and the content of each field in a span; numbers have no content.

    Raises:
        ValueError, IndexError: the span is no message.
    """
    at, end = span
    while at < end:
        key, at = _varint(data, at)
        kind, size = key & 7, 0
        if kind == VARINT:
            at = _varint(data, at)[1]
        elif kind == LENGTH:
            size, at = _varint(data, at)
        elif kind in (FIXED32, FIXED64):
            at += 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field of the kind {kind}")
        if at + size > end:
            raise ValueError("a field ends behind its message")
        yield key >> 3, (at, at + size)
        at += size


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next field begins."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number of more than ten bytes")
