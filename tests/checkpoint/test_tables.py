"""Named tables of fields: written and read in both kinds of file, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from cosyrt.checkpoint import tables
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
    found = read_tables(path)

    assert set(found) == {"a/b", "中文女"}
    for table in found.values():
        assert torch.equal(table["a"], torch.ones(1, 192)) and table["b"].tolist() == [0, 1, 2]
        assert table["text"] == "你好 / hello"


@pytest.mark.parametrize("saved", [{"a": torch.ones(1)}, {"a": {"b": [1]}}, {"a": {1: torch.ones(1)}}, [1]])
def test_what_is_no_table_is_refused(saved: object, tmp_path: Path) -> None:
    """A file with anything but tensors, texts and numbers in its tables is WeightsError."""
    torch.save(saved, tmp_path / "tables.pt")
    with pytest.raises(WeightsError, match=r"tables\.pt"):
        read_tables(tmp_path / "tables.pt")


def test_tables_and_fields_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables may share their fields, so that a small file could make many: both numbers have a limit."""
    path = tmp_path / "tables.pt"
    table = {"embedding": torch.ones(1, 192)}
    torch.save({"a": table, "b": table}, path)
    assert list(read_tables(path)) == ["a", "b"]

    monkeypatch.setattr(tables, "MAX_TABLES", 1)
    with pytest.raises(WeightsError, match=r"holds 2 tables, more than 1"):
        read_tables(path)
    torch.save({"a": dict.fromkeys(map(str, range(101)), 0)}, path)
    with pytest.raises(WeightsError, match=r"'a' is no table of at most 100"):
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
