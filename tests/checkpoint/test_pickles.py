"""A `.pt` file is read as torch reads it, and may not make anything but a table of tensors."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from cosyrt.checkpoint.pickles import Unreadable, read_pickled
from cosyrt.errors import WeightsError

BASE = torch.arange(24.0).view(4, 6)
SHARED = torch.ones(1, 192)
VOICE = {"embedding": SHARED}
TYPES = "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 int64 int32 int16 int8 uint8 bool".split()


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Conv1d(4, 4, 3))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return (
            one.dtype == other.dtype and one.stride() == other.stride() and one.float().equal(other.float())
        )
    return bool(one == other)


@pytest.mark.parametrize(
    "saved",
    [
        network().state_dict(),
        network().state_dict() | {"epoch": 3, "step": 2**40, "rate": 0.5, "note": "text", "none": None},
        dict(network().named_parameters()),
        {name: BASE.to(getattr(torch, name)) for name in TYPES},
        {"part": BASE[1:, 2:], "turned": BASE.T, "column": BASE[:, 0], "scalar": torch.tensor(3.0)},
        {"中文女": {"llm_embedding": SHARED, "flow_embedding": SHARED}, "b": VOICE, "also called c": VOICE},
        {f"key {number}": torch.zeros(1) for number in range(700)},
        {"nothing": torch.zeros(0, 3), "more nothing": torch.zeros(2, 0)},
        {},
    ],
    ids="state_dict training parameters types views voices many hollow empty".split(),
)
def test_what_torch_saves_is_read_alike(saved: dict[str, Any], tmp_path: Path) -> None:
    """State dicts of any kind are what torch's own reader makes of them."""
    torch.save(saved, tmp_path / "llm.pt")

    assert same(read_pickled(tmp_path / "llm.pt"), torch.load(tmp_path / "llm.pt", weights_only=True))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def program(value: bytes) -> bytes:
    """A pickle that says {"a": value}."""
    return b"\x80\x02}" + text("a") + value + b"s."


def name(module: str, of: str) -> bytes:
    return f"c{module}\n{of}\n".encode()


def write(path: Path, pickled: bytes) -> None:
    """A file of torch's with another program in it."""
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, pickled if member.endswith("data.pkl") else content)


TABLE = name("collections", "OrderedDict")
TUPLES = b"))\x86q\x01" + b"".join(b"h%c" % n + b"h%c\x86q%c" % (n, n + 1) for n in range(1, 60))
FORBIDDEN = {
    "any amount of bytes": (name("__builtin__", "bytearray") + number(9) + b"\x85R", "asks for '__bu"),
    "a tensor of any size": (name("torch", "FloatTensor") + number(9) + b"\x85R", "asks for 'torch.Float"),
    "a tensor made new": (name("torch", "Tensor") + number(9) + b"\x85\x81", r"asks for 'torch\.Tensor'"),
    "a storage of any size": (
        name("torch.storage", "UntypedStorage") + number(9) + b"\x85R",
        "calls something",
    ),
    "a storage of any size, marked": (
        name("torch.storage", "UntypedStorage") + b"(" + number(9) + b"tR",
        "calls something",
    ),
    "a table of a table": (TABLE + b"(}tR", "calls something"),
    "a table of one argument": (TABLE + b"}\x85R", "calls something"),
    "a codec": (name("_codecs", "encode") + text("x") + text("zlib") + b"\x86R", "asks for '_codecs"),
    "a list twice": (b"]q\x01h\x01\x86", "nests lists and tuples"),
    "a list in a list": (b"]]a", "nests lists and tuples"),
    "lists in a list": (b"](]]e", "nests lists and tuples"),
    "a tuple of a tuple of a tuple": (b")\x85\x85\x85", "nests lists and tuples"),
    "a deep tuple as key": (b"})" + b"\x85" * 100_000 + b"Ns", "nests lists and tuples"),
    "a deep tuple as value": (b")" + b"\x85" * 100_000, "nests lists and tuples"),
    "a deep list": (b"]" * 100_000 + b"a" * 99_999, "nests lists and tuples"),
    "a key that takes years to hash": (b"}" + TUPLES + b"Ns", "nests lists and tuples"),
    "a number as key": (b"}" + number(3) + b"Ns", "has a key that is not text"),
    "a tuple as key": (b"})Ns", "has a key that is not text"),
    "a long key": (b"}" + text("x" * 501) + b"Ns", "has a key of more than 500 characters"),
    "an entry of no table": (b"]" + text("x") + b"Ns", "has a key that is not text"),
    "a list that is none": (b"}Na", "nests lists and tuples"),
    "attributes of a list": (b"]}b", "gives attributes to something"),
    "attributes that are no table": (TABLE + b")R]b", "gives attributes to something"),
    "any amount of operations": (b"N" * 600_000, "has more than 500000 operations"),
    "another operation": (b"\x8f", "uses the pickle operation EMPTY_SET"),
    "a name that paints the terminal": (name("\x1b[31m", "x"), r"asks for '\\x1b"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_program_that_could_grow_is_refused(what: str, tmp_path: Path) -> None:
    """What asks for memory by a number, or shares what multiplies, is refused before torch runs it."""
    value, reason = FORBIDDEN[what]
    write(tmp_path / "llm.pt", program(value))

    with pytest.raises(WeightsError, match=reason) as refused:
        read_pickled(tmp_path / "llm.pt")

    assert str(refused.value).isprintable()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_lenient_reading_makes_no_more(what: str, tmp_path: Path) -> None:
    """What is refused is not made either where the rest of the file is read: a mark stands in its place."""
    write(tmp_path / "llm.pt", program(FORBIDDEN[what][0]))
    try:
        (value,) = read_pickled(tmp_path / "llm.pt", lenient=True).values()
    except WeightsError as refused:
        assert str(refused).isprintable()
        return

    def plain(value: object, depth: int) -> bool:
        if isinstance(value, (tuple, dict)):
            inside = value.values() if isinstance(value, dict) else value
            return depth > 0 and all(plain(each, depth - 1) for each in inside)
        return value is None or isinstance(value, Unreadable)

    assert plain(value, 3)


FLOATS = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number(2) + b"tQ"
NO_HOOKS = b"\x89" + TABLE + b")R"


def numbers(values: list[int]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(offset: int, size: list[int], stride: list[int], *, hooks: bytes = NO_HOOKS) -> bytes:
    """A call that makes a tensor of the two floats in the file."""
    view = FLOATS + number(offset) + numbers(size) + numbers(stride)
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + view + hooks + b"tR"


WRONG_TENSORS = {
    "larger": (tensor(0, [3], [1]), "larger than what is stored"),
    "much larger": (tensor(0, [2**31 - 1] * 8, [0] * 8), "larger than what is stored"),
    "an expanded one": (tensor(0, [2, 2], [0, 1]), "larger than what is stored"),
    "behind the end": (tensor(1, [2], [1]), "ends outside what is stored"),
    "of wide steps": (tensor(0, [2], [2]), "ends outside what is stored"),
    "before the start": (tensor(-1, [1], [1]), "larger than what is stored"),
    "backwards": (tensor(1, [2], [-1]), "larger than what is stored"),
    "of negative size": (tensor(0, [-1, -1], [1, 1]), "larger than what is stored"),
    "of many dimensions": (tensor(0, [1] * 100_000, [1] * 100_000), "or 8 dimensions in one"),
    "of nine dimensions": (tensor(0, [1] * 9, [1] * 9), "or 8 dimensions in one"),
    "of sizes without steps": (tensor(0, [1, 1], [1]), "not a whole file of plain tensors"),
    "of more arguments": (tensor(0, [2], [1], hooks=NO_HOOKS + b"}"), "arguments that are not its own"),
    "of no storage": (
        name("torch._utils", "_rebuild_tensor_v2") + b"(" + b"N" * 6 + b"tR",
        "not a whole file",
    ),
}


@pytest.mark.parametrize("what", WRONG_TENSORS)
def test_a_tensor_is_a_view_of_what_is_stored(what: str, tmp_path: Path) -> None:
    """A tensor that is larger than its numbers, or lies beside them, is refused before it is made."""
    value, reason = WRONG_TENSORS[what]
    write(tmp_path / "llm.pt", program(value))

    with pytest.raises(WeightsError, match=reason):
        read_pickled(tmp_path / "llm.pt")


def test_the_tensors_here_are_tensors(tmp_path: Path) -> None:
    """A call of the same making that asks for what is stored gives it."""
    write(tmp_path / "llm.pt", program(tensor(0, [2, 1], [1, 1])))

    assert read_pickled(tmp_path / "llm.pt")["a"].tolist() == [[0], [0]]


def test_tensors_have_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call can be repeated in four bytes; the tensors it makes are counted."""
    monkeypatch.setattr("cosyrt.checkpoint.pickles.MAX_TENSORS", 10)
    function = name("torch._utils", "_rebuild_tensor_v2") + b"q\x01"
    arguments = tensor(0, [2], [1]).partition(b"\n_rebuild_tensor_v2\n")[2][:-1] + b"q\x02"
    again = b"h\x01h\x02R"
    write(tmp_path / "llm.pt", program(function + arguments + b"R"))
    assert read_pickled(tmp_path / "llm.pt")["a"].tolist() == [0, 0]
    keys = b"".join(text(f"k{at}") + again + b"s" for at in range(10))
    write(tmp_path / "llm.pt", program(function + arguments + b"R")[:-1] + keys + b".")

    with pytest.raises(WeightsError, match="more than 10 tensors"):
        read_pickled(tmp_path / "llm.pt")


def test_flags_of_a_tensor_are_refused(tmp_path: Path) -> None:
    """Numbers that are stored with the opposite sign or as a conjugate are no plain numbers."""
    negative = torch.ones(3, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    torch.save({"a": negative}, tmp_path / "llm.pt")

    with pytest.raises(WeightsError, match="arguments that are not its own"):
        read_pickled(tmp_path / "llm.pt")


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64", "complex64"])
def test_numbers_of_a_kind_that_no_model_has_are_named(kind: str, tmp_path: Path) -> None:
    """The message says of which kind the numbers are."""
    torch.save({"a": torch.ones(3, dtype=getattr(torch, kind))}, tmp_path / "llm.pt")

    with pytest.raises(WeightsError, match=rf"asks for 'torch\.({kind}|ComplexFloatStorage)'"):
        read_pickled(tmp_path / "llm.pt")


def test_attributes_hide_nothing(tmp_path: Path) -> None:
    """An ordered table with attributes named as its methods is a plain dict with its entries."""
    hidden = b"}(" + b"".join(text(method) + number(5) for method in ("items", "keys", "values")) + b"ub"
    write(tmp_path / "llm.pt", b"\x80\x02" + TABLE + b")R" + text("a") + number(1) + b"s" + hidden + b".")

    read = read_pickled(tmp_path / "llm.pt")

    assert type(read) is dict and list(read.items()) == [("a", 1)]


def test_tables_may_nest(tmp_path: Path) -> None:
    """Tables in tables cost no stack, neither when they are read nor when they are dropped."""
    nested = b"}" + text("a") + b"q\x01" + (b"}h\x01") * 50_000 + b"N" + b"s" * 50_001
    write(tmp_path / "llm.pt", b"\x80\x02" + nested + b".")

    assert list(read_pickled(tmp_path / "llm.pt")) == ["a"]


@pytest.mark.parametrize(
    "pickled", [b"", b".", b"0.", b"}s.", b"h\x01.", b"t.", b"Q.", b"R.", b"b.", b"}Xa."]
)
def test_a_program_without_sense_is_damaged(pickled: bytes, tmp_path: Path) -> None:
    """What takes from an empty stack, or ends too early, is one line of WeightsError."""
    write(tmp_path / "llm.pt", b"\x80\x02" + pickled)

    with pytest.raises(WeightsError):
        read_pickled(tmp_path / "llm.pt")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_program_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    """A saved program with any bytes changed gives a table or WeightsError."""
    torch.save(network().state_dict() | {"rate": 0.5}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        pickled = bytearray(archive.read("whole/data.pkl"))
    for _ in range(data.draw(st.integers(1, 8))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    write(tmp_path / "llm.pt", bytes(pickled))
    try:
        assert type(read_pickled(tmp_path / "llm.pt")) is dict
    except WeightsError as error:
        assert str(error).isprintable()


def test_a_long_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and numbers beside the tensors have a limit of their own."""
    monkeypatch.setattr("cosyrt.checkpoint.pickles.MAX_PROGRAM_BYTES", 1000)
    write(tmp_path / "llm.pt", program(text("x" * 1000)))

    with pytest.raises(WeightsError, match=r"llm\.pt has 10\d\d bytes beside its tensors"):
        read_pickled(tmp_path / "llm.pt")


def test_the_programs_here_are_pickles(tmp_path: Path) -> None:
    """A program of the same making that asks for nothing is read."""
    write(tmp_path / "llm.pt", program(TABLE + b")R"))

    assert read_pickled(tmp_path / "llm.pt") == {"a": {}} == pickle.loads(program(TABLE + b")R"))
