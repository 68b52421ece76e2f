"""A model description (`cosyvoice2.yaml`) read as data.

Official descriptions are HyperPyYAML: tags there import modules and call functions. Here a tag is a name:
`!new:`, `!name:` and `!apply:` become a `Tagged` value, `!ref <key>` the value it points to, and all else is
refused. Nothing is imported or called.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from yaml.composer import Composer

from cosyrt.errors import ConfigError, ModelNotFound, one_line

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_VALUES = 20_000  # also counts what aliases and references expand to; official descriptions hold about 400
MAX_FORMULA = 200
MAX_NUMBER = 50  # characters of a number: one with colons, 1:30 for 90, takes time by its square
MAX_TEXT = 10_000  # characters that references may put together

Kind = Literal["new", "name", "apply"]


class Fields(dict[str, Any]):
    """A mapping that knows its place in the description: asking for a missing key is a ConfigError."""

    def __init__(self, fields: dict[str, Any], where: str) -> None:
        super().__init__(fields)
        self.where = where

    def __missing__(self, key: str) -> Any:
        raise ConfigError(f"{self.where} lacks the key {key!r}; is the description complete?")


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged value: the dotted name after the tag, and its arguments by name ("0", "1" by position)."""

    tag: str
    args: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "new"


def read_description(path: str | Path) -> dict[str, Any]:
    """Read a HyperPyYAML file: its top-level keys, references resolved, tags as `Tagged` values.

    The dialect: `!ref <a>`, `!ref <a[b]>`, arithmetic on references (`!ref <chunk> * <ratio>`), text around
    it (`!ref <folder>/x`). Merge keys, doubled keys, other tags and control characters are refused.

    Raises:
        ModelNotFound: the file cannot be opened.
        ConfigError: it is not YAML, not a mapping, outside the dialect, too large or too deep.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"{path} cannot be opened: {error}; check the model folder") from error
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes; a model description is a few kilobytes")
    try:
        return _Reader(path, _Loader(text)).read()
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise ConfigError(f"{path}:{line} {one_line(error.problem or error, 300)}") from error
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError) as error:
        # PyYAML lets these through for malformed escapes and scalars.
        raise ConfigError(f"{path}: not readable as YAML: {one_line(error, 300)}") from error


def _refuse(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


class _Bounded(Composer):
    """Depth and size, bounded while the tree is built from events."""

    depth = values = 0
    peek_event: Callable[[], Any]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if self.depth >= MAX_DEPTH or self.values >= MAX_VALUES:
            limit = (
                f"nested deeper than {MAX_DEPTH}"
                if self.depth >= MAX_DEPTH
                else f"more than {MAX_VALUES} values"
            )
            raise yaml.MarkedYAMLError(problem=limit, problem_mark=event.start_mark)
        self.depth += 1
        self.values += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _loader(rules: Any) -> Any:
    """A loader of PyYAML, bounded."""

    class Loader(_Bounded, rules):  # type: ignore[misc]
        def __init__(self, text: bytes) -> None:
            rules.__init__(self, text)
            Composer.__init__(self)

    # YAML 1.1 reads 1e-06 as text; the descriptions mean the number.
    number = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return Loader


# libyaml is five times as fast, and a hundred times in long runs of one sign. Few builds of PyYAML lack it.
_PlainLoader = _loader(yaml.SafeLoader)
_Loader = _loader(yaml.CSafeLoader) if yaml.__with_libyaml__ else _PlainLoader

_STANDARD = "tag:yaml.org,2002:"
_TAG = re.compile(r"!(new|name|apply):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", re.ASCII)
_REFERENCE = re.compile(r"<([^<>]+)>")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class _Reader:
    """Turns the YAML tree into values. A node is read once: aliases and references share its value."""

    def __init__(self, path: Path, loader: Any) -> None:  # a `_Loader`
        self.path = path
        self.loader = loader
        self.top: dict[str, yaml.Node] = {}
        self.done: dict[int, Any] = {}
        self.sizes: dict[int, int] = {
            0: 0
        }  # values below a node, as often as they are reached; 0 is the whole file
        self.open: list[int] = [0]

    def read(self) -> dict[str, Any]:
        root = self.loader.get_single_node()
        if not isinstance(root, yaml.MappingNode) or root.tag != _STANDARD + "map":
            raise yaml.YAMLError("the top level is not a mapping of names to values")
        self.top = self.fields(root)
        return self.mapping(root)

    def value(self, node: yaml.Node) -> Any:
        key = id(node)
        if key not in self.done:
            with self.entered(node):
                self.done[key] = self.tagged(node)
        outer = self.open[-1]
        self.sizes[outer] += self.sizes[key]
        if self.sizes[outer] > MAX_VALUES:
            raise _refuse(node, f"aliases and references expand to more than {MAX_VALUES} values")
        return self.done[key]

    @contextmanager
    def entered(self, node: yaml.Node) -> Iterator[None]:
        if id(node) in self.open:
            raise _refuse(node, "a value that contains itself")
        if len(self.open) > MAX_DEPTH:
            raise _refuse(node, f"nested deeper than {MAX_DEPTH}")
        self.open.append(id(node))
        self.sizes[id(node)] = 1
        yield
        self.open.pop()

    def tagged(self, node: yaml.Node) -> Any:
        if node.tag.startswith(_STANDARD):
            return self.plain(node)
        if node.tag == "!ref" and isinstance(node, yaml.ScalarNode):
            return self.reference(node)
        match = _TAG.fullmatch(node.tag)
        if match is None:
            raise _refuse(node, f"the tag {node.tag!r} is not one of !new:NAME !name:NAME !apply:NAME !ref")
        return Tagged(match[2], self.arguments(node), cast(Kind, match[1]))

    def arguments(self, node: yaml.Node) -> dict[str, Any]:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return {str(index): self.value(item) for index, item in enumerate(node.value)}
        if node.value:
            raise _refuse(node, f"the arguments of {node.tag!r} are neither a mapping nor a list")
        return {}

    def plain(self, node: yaml.Node) -> Any:
        kind = node.tag.removeprefix(_STANDARD)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self.mapping(node)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.value(item) for item in node.value]
        if isinstance(node, yaml.ScalarNode) and kind in ("null", "bool", "int", "float"):
            if len(node.value) > MAX_NUMBER:
                raise _refuse(node, f"a number longer than {MAX_NUMBER} characters")
            return self.loader.construct_object(node)
        if isinstance(node, yaml.ScalarNode) and kind in ("str", "timestamp"):
            return self.text(node, node.value)
        raise _refuse(node, f"a value of type {kind!r} has no place in a model description")

    def mapping(self, node: yaml.MappingNode) -> Fields:
        kind = "mapping" if node.tag.startswith(_STANDARD) else node.tag
        where = f"{self.path}: the {kind} in line {node.start_mark.line + 1}"
        return Fields({key: self.value(item) for key, item in self.fields(node).items()}, where)

    def fields(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        fields: dict[str, yaml.Node] = {}
        for key, item in node.value:
            if key.tag != _STANDARD + "str":
                raise _refuse(key, "a key that is not a name")
            if self.text(key, key.value) in fields:
                raise _refuse(key, f"the key {key.value!r} stands there twice")
            fields[key.value] = item
        return fields

    def text(self, node: yaml.Node, text: str) -> str:
        if _CONTROL.search(text):
            raise _refuse(node, f"control characters in {text[:40]!a}")
        return text

    def reference(self, node: yaml.ScalarNode) -> Any:
        formula = self.text(node, node.value.strip())
        if len(formula) > MAX_FORMULA:
            raise _refuse(node, f"a reference longer than {MAX_FORMULA} characters")
        if whole := _REFERENCE.fullmatch(formula):
            return self.target(node, whole[1])
        values = [self.target(node, name) for name in _REFERENCE.findall(formula)]
        if not values or not all(isinstance(value, (int, float, str)) for value in values):
            raise _refuse(node, f"{formula!r} needs references to numbers or text, such as <sample_rate>")
        filled = iter(repr(value) if _is_number(value) else str(value) for value in values)
        text = _REFERENCE.sub(lambda _: next(filled), formula)
        if len(text) > MAX_TEXT:
            raise _refuse(node, f"references put together more than {MAX_TEXT} characters")
        return _calculate(node, text) if all(_is_number(value) for value in values) else text

    def target(self, node: yaml.Node, name: str) -> Any:
        first, *rest = (part.strip() for part in re.split(r"[\[.]", name.replace("]", "")))
        if first not in self.top:
            raise _refuse(node, f"<{name}> refers to {first!r}, which is not a top-level key")
        value = self.value(self.top[first])
        for step in rest:
            inner = value.args if isinstance(value, Tagged) else value
            try:
                value = inner[int(step)] if isinstance(inner, list) else dict(inner)[step]
            except (LookupError, TypeError, ValueError):
                raise _refuse(node, f"<{name}> refers to {step!r}, which is not there") from None
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _calculate(node: yaml.Node, formula: str) -> Any:
    """Evaluate a formula of + - * / // % and brackets. No powers: a short one can take minutes."""

    def number(tree: ast.expr) -> Any:
        if isinstance(tree, ast.Constant) and _is_number(tree.value):
            return tree.value
        if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
            return _OPERATORS[type(tree.op)](number(tree.left), number(tree.right))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            return -number(tree.operand)
        raise ValueError("only + - * / // % of numbers")

    try:
        return number(ast.parse(formula, mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError) as error:
        raise _refuse(
            node, f"{formula!r} is not arithmetic that can be done: {one_line(error, 300)}"
        ) from error
