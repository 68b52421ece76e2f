"""Named tables of fields in one file: NAME → FIELD → tensor, text or number.

Two kinds of file: a `.pt` that holds a dictionary of dictionaries, and a `.safetensors` whose keys are
`NAME/FIELD`, with texts in its metadata. What the fields mean is the business of `voice/spk2info.py`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosyrt.checkpoint.pickles import Unreadable, read_pickled
from cosyrt.checkpoint.tensors import DenseReader, open_safetensors, write_tensors
from cosyrt.errors import WeightsError
from cosyrt.files import replace_file

if TYPE_CHECKING:
    import torch

    Field = torch.Tensor | NDArray[Any] | str

MAX_TABLES, MAX_FIELDS = 10_000, 100  # upstream's tables have a dozen fields


class Tables(NamedTuple):
    """The tables of a file by name, and why others of them cannot be read."""

    read: dict[str, dict[str, Any]]  # fields: tensors, text, numbers, lists of numbers, `Unreadable`
    refused: dict[str, str]


def read_tables(path: Path) -> Tables:
    """The tables of a file by name; the suffix says which kind it is.

    A table that is a list of numbers or one tensor is given as its only field, without a name. Fields that
    are None are left out.

    Raises:
        WeightsError: the file is damaged, is no file of tables, or a name cannot be printed.
    """
    tables = _grouped(path) if path.suffix == ".safetensors" else read_pickled(path, lenient=True)
    if len(tables) > MAX_TABLES:
        raise WeightsError(f"{path} holds {len(tables)} tables, more than {MAX_TABLES}; is it damaged?")
    found, reader = Tables({}, {}), DenseReader(path)
    for name, table in tables.items():
        if not name.isprintable():  # a name stands as it is in messages and on terminals
            raise WeightsError(f"{path}: the table {name[:80]!r} has control characters in its name")
        try:
            found.read[name] = _fields(reader, name, table)
        except WeightsError as error:
            found.refused[name] = str(error).removeprefix(f"{path}: ")
    return found


def write_tables(path: Path, tables: Mapping[str, Mapping[str, Field]]) -> None:
    """Write a file of the kind that its suffix says; it appears whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    import torch

    converted = {
        name: {key: _tensor_or_text(value) for key, value in fields.items()}
        for name, fields in tables.items()
    }
    if path.suffix != ".safetensors":
        data = io.BytesIO()
        torch.save(converted, data)
        replace_file(path, data.getvalue())
        return
    flat = {f"{name}/{key}": value for name, fields in converted.items() for key, value in fields.items()}
    tensors = {key: value for key, value in flat.items() if isinstance(value, torch.Tensor)}
    write_tensors(path, tensors, {key: value for key, value in flat.items() if isinstance(value, str)})


def _tensor_or_text(value: Field) -> torch.Tensor | str:
    import torch

    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def _grouped(path: Path) -> dict[str, dict[str, Any]]:
    """Tensors and metadata of a safetensors file under NAME/FIELD, gathered by name."""
    tables: dict[str, dict[str, Any]] = {}
    with open_safetensors(path) as file:
        fields = {key: file.get_tensor(key) for key in file.keys()} | (file.metadata() or {})  # noqa: SIM118
    for key, value in fields.items():
        name, slash, field = key.rpartition("/")
        if not slash:
            raise WeightsError(f"{path}: the key {key!r} is not of the form NAME/FIELD")
        tables.setdefault(name, {})[field] = value
    return tables


def _fields(reader: DenseReader, name: str, table: object) -> dict[str, Any]:
    """The fields of one table, checked and with dense tensors."""
    import torch

    if isinstance(table, torch.Tensor | list):
        table = {"": table}
    if not isinstance(table, dict) or len(table) > MAX_FIELDS:
        why = table.why if isinstance(table, Unreadable) else f"is no table of at most {MAX_FIELDS} fields"
        raise WeightsError(f"{reader.path}: {name!r} {why}")
    return {
        key: reader.float32(f"{name}/{key}", value) if isinstance(value, torch.Tensor) else _plain(value)
        for key, value in table.items()
        if value is not None
    }


def _plain(value: object) -> object:
    """Text, a number, or a list of numbers; anything else becomes `Unreadable`."""
    listed = isinstance(value, list) and all(isinstance(each, int | float) for each in value)
    if listed or isinstance(value, str | int | float | Unreadable):
        return value
    return Unreadable(f"is a {type(value).__name__}")
