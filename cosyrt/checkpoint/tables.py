"""Named tables of fields in one file: NAME → FIELD → tensor, text or number.

Two kinds of file: a `.pt` that holds a dictionary of dictionaries, and a `.safetensors` whose keys are
`NAME/FIELD`, with texts in its metadata. What the fields mean is the business of `voice/spk2info.py`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.checkpoint.pickles import read_pickled
from cosyrt.checkpoint.tensors import DenseReader, open_safetensors, write_tensors
from cosyrt.errors import WeightsError
from cosyrt.files import replace_file

if TYPE_CHECKING:
    import torch

    Field = torch.Tensor | NDArray[Any] | str

MAX_TABLES, MAX_FIELDS = 10_000, 100  # upstream's tables have a dozen fields


def read_tables(path: Path) -> dict[str, dict[str, torch.Tensor | str | int | float]]:
    """The tables of a file by name; the suffix says which kind it is.

    Raises:
        WeightsError: the file is damaged or holds anything but fields of tensors, text and numbers, or a
            name cannot be printed.
    """
    tables = _grouped(path) if path.suffix == ".safetensors" else read_pickled(path)
    if len(tables) > MAX_TABLES:
        raise WeightsError(f"{path} holds {len(tables)} tables, more than {MAX_TABLES}; is it damaged?")
    reader = DenseReader(path)
    return {name: _fields(reader, name, fields) for name, fields in tables.items()}


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


def _fields(reader: DenseReader, name: str, fields: object) -> dict[str, torch.Tensor | str | int | float]:
    """The fields of one table, checked and with dense tensors."""
    import torch

    if not name.isprintable():  # a name stands as it is in messages and on terminals
        raise WeightsError(f"{reader.path}: the table {name[:80]!r} has control characters in its name")
    kinds = torch.Tensor, str, int, float
    if not (isinstance(fields, dict) and len(fields) <= MAX_FIELDS) or not all(
        isinstance(key, str) and isinstance(value, kinds) for key, value in fields.items()
    ):
        raise WeightsError(
            f"{reader.path}: {name!r} is no table of at most {MAX_FIELDS} tensors, texts, numbers"
        )
    return {
        key: reader.float32(f"{name}/{key}", value) if isinstance(value, torch.Tensor) else value
        for key, value in fields.items()
    }
