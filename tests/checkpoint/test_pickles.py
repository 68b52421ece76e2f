"""A `.pt` file is read as torch reads it, and may not make anything but a table of tensors."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cosyrt.checkpoint.pickles import read_pickled
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
        {},
    ],
    ids="state_dict training parameters types views voices many empty".split(),
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
    "a list twice": (b"]q\x01h\x01\x86", "one list or tuple in two places"),
    "attributes twice": (b"}q\x01" + TABLE + b")Rh\x01b\x86", "one table of attributes to two"),
    "a key that takes years to hash": (b"}" + TUPLES + b"Ns", "in two places"),
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
