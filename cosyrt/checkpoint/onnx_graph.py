"""What an ONNX file would compute, read from its bytes: enough to refuse what need not end.

An encoder is a graph of operators that ends when each has run once. Loops, functions and operators of other
domains, for which a program could be loaded, are refused. A branch is passed, because exporters make one of a
squeeze, if what it branches to is passed. The file is a nest of length-prefixed fields (protocol buffers);
weights are stepped over.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cosyrt.errors import WeightsError

MAX_NODES = 100_000
MAX_DEPTH = 4
ENDLESS = {b"Loop", b"Scan", b"SequenceMap"}
DOMAINS = {b"", b"ai.onnx"}
# Numbers of fields in ModelProto, GraphProto, NodeProto and AttributeProto of onnx.proto.
MODEL_GRAPH, MODEL_FUNCTION = 7, 25
GRAPH_NODE = 1
NODE_ATTRIBUTE, NODE_OPERATOR, NODE_DOMAIN = 5, 4, 7
ATTRIBUTE_GRAPHS = {6, 11}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

Span = tuple[int, int]  # of bytes of the file


def check_graph(path: Path) -> None:
    """Refuse an ONNX file whose graph repeats itself, or has operators that are not standard.

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
        if field == MODEL_GRAPH and (problem := _problem_of_graph(data, span, 0)):
            return problem
    return ""


def _problem_of_graph(data: mmap.mmap, graph: Span, depth: int) -> str:
    nodes = [span for field, span in islice(_fields(data, graph), MAX_NODES) if field == GRAPH_NODE]
    if len(nodes) == MAX_NODES or depth > MAX_DEPTH:
        return f"has more than {MAX_NODES} operators, or {MAX_DEPTH} branches in one another"
    problems = (_problem_of_node(data, node, depth) for node in nodes)
    return next(filter(None, problems), "")


def _problem_of_node(data: mmap.mmap, node: Span, depth: int) -> str:
    operator, domain, graphs = b"", b"", []
    for field, (start, end) in _fields(data, node):
        if field == NODE_OPERATOR:
            operator = data[start : min(end, start + 80)]
        elif field == NODE_DOMAIN:
            domain = data[start : min(end, start + 80)]
        elif field == NODE_ATTRIBUTE:
            inner = _fields(data, (start, end))
            graphs += [span for number, span in inner if number in ATTRIBUTE_GRAPHS]
    if domain not in DOMAINS:
        return f"has an operator of {domain!r}"
    if operator in ENDLESS or (graphs and operator != b"If"):
        return f"has the operator {operator!r}, which repeats a graph"
    problems = (_problem_of_graph(data, graph, depth + 1) for graph in graphs)
    return next(filter(None, problems), "")


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
