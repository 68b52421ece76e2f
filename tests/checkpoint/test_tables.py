"""Named tables of fields: written and read in both kinds of file, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from cosyrt.checkpoint import tables
from cosyrt.checkpoint.pickles import Unreadable
from cosyrt.checkpoint.tables import read_tables, write_tables
from cosyrt.checkpoint.tensors import write_tensors
from cosyrt.errors import WeightsError

if TYPE_CHECKING:
    from cosyrt.checkpoint.tables import Field

KINDS = pytest.mark.parametrize("suffix", [".pt", ".safetensors"])


@KINDS
def test_tables_come_back(tmp_path: Path, suffix: str) -> None:
    """Tensors, arrays and texts survive either kind of file, under any printable name."""
    path = tmp_path / f"tables{suffix}"
    fields: dict[str, Field] = {"a": torch.ones(1, 192), "b": np.arange(3), "text": "你好 / hello"}
    write_tables(path, {"a/b": fields, "中文女": fields})
    found = read_tables(path).read

    assert set(found) == {"a/b", "中文女"}
    for table in found.values():
        assert torch.equal(table["a"], torch.ones(1, 192)) and table["b"].tolist() == [0, 1, 2]
        assert table["text"] == "你好 / hello"


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (7, "is no table"),
        ("text", "is no table"),
        (None, "is no table"),
        (np.ones(3), "asks for 'numpy"),
        ({str(number): 0 for number in range(101)}, "is no table of at most 100"),
        ({"a": torch.ones(2).to_sparse()}, ""),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "odd"),
    ],
)
def test_an_odd_table_does_not_take_the_others_with_it(tmp_path: Path, odd: object, why: str) -> None:
    """What is no table is refused by its name; the rest of the file is read."""
    torch.save({"odd": odd, "good": {"a": torch.ones(1)}, 3: {}}, tmp_path / "tables.pt")
    found = read_tables(tmp_path / "tables.pt")

    assert torch.equal(found.read["good"]["a"], torch.ones(1))
    if "odd" in found.refused:
        assert why in found.refused["odd"]
    else:
        assert isinstance(found.read["odd"]["a"], Unreadable)
    assert "has a key that is not text" in found.refused["3"]


@pytest.mark.parametrize(
    "value", [np.ones(192), [[1.0], [2.0]], {"a": 1}, ("x",), np.float64(3), Path("x"), [None], {1}, 1j]
)
def test_an_odd_field_is_told_where_it_stands(tmp_path: Path, value: object) -> None:
    """A field that is no tensor, text, number or list of numbers is `Unreadable`; the others are read."""
    torch.save({"a": {"odd": value, "text": "hello", "list": [0.5, 1.0], "none": None}}, tmp_path / "t.pt")
    (fields,) = read_tables(tmp_path / "t.pt").read.values()

    assert isinstance(fields["odd"], Unreadable) and fields["odd"].why
    assert (fields["text"], fields["list"], "none" in fields) == ("hello", [0.5, 1.0], False)


def test_tables_without_fields(tmp_path: Path) -> None:
    """What stands under a name without fields is its only field."""
    torch.save({"a": [0.5, 1.0], "b": torch.ones(2)}, tmp_path / "t.pt")
    found = read_tables(tmp_path / "t.pt").read

    assert found["a"] == {"": [0.5, 1.0]}
    assert found["b"][""].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("saved", [[1], torch.ones(1), "text"])
def test_what_is_no_file_of_tables_is_refused(saved: object, tmp_path: Path) -> None:
    """A file that holds no names is WeightsError."""
    torch.save(saved, tmp_path / "tables.pt")
    with pytest.raises(WeightsError, match=r"tables\.pt"):
        read_tables(tmp_path / "tables.pt")


def test_tables_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables may share their fields, so that a small file could make many: their number has a limit."""
    path = tmp_path / "tables.pt"
    table = {"embedding": torch.ones(1, 192)}
    torch.save({"a": table, "b": table}, path)
    assert list(read_tables(path).read) == ["a", "b"]

    monkeypatch.setattr(tables, "MAX_TABLES", 1)
    with pytest.raises(WeightsError, match=r"holds 2 tables, more than 1"):
        read_tables(path)


@KINDS
def test_a_name_that_cannot_be_printed_is_refused(tmp_path: Path, suffix: str) -> None:
    """A file's names may not write on the terminal, nor a second line into a message."""
    path = tmp_path / f"tables{suffix}"
    write_tables(path, {"A\x1b[31m\nroot": {"embedding": torch.ones(1, 192)}})
    with pytest.raises(WeightsError, match="control characters in its name") as refused:
        read_tables(path)
    assert str(refused.value).isprintable()


def test_other_keys_are_refused(tmp_path: Path) -> None:
    """A safetensors file whose keys are not NAME/FIELD is WeightsError."""
    write_tensors(tmp_path / "tables.safetensors", {"embedding": torch.ones(1)})
    with pytest.raises(WeightsError, match="NAME/FIELD"):
        read_tables(tmp_path / "tables.safetensors")
