"""Lists of texts to speak: JSON lines, CSV, a text file with a text a line, or a folder of text files.

A line that cannot be used is an item with its reason, so that it is told at the end and stops nothing.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TextIO

from cosyrt.errors import TextError, UsageError

STANDARD_INPUT = "-"
FIELDS = ("id", "text", "voice", "style", "speed", "seed")
DELIMITERS = ",\t;|"
LONGEST_PART = 200  # bytes of a part of an id: a suffix must still fit into a file's name
LONGEST_CELL = 2_000_000  # characters
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\<>:"|?*]')  # in a name, on one system or another


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One text of a list, with what the list says of how it is spoken; `wrong` says why it cannot be."""

    id: str
    text: str = ""
    voice: str | None = None
    style: str | None = None
    speed: float | None = None
    seed: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)  # fields that mean nothing here, to be passed on
    where: str = ""  # the file and line that it stands in
    wrong: str = ""


def read_items(source: Path | str) -> Iterator[Item]:
    """Read a list, item by item; two of one id are wrong.

    `source` is a file that ends in .jsonl, .csv, .tsv or .txt, a folder of .txt files, or `-` for JSON lines
    on standard input.

    Raises:
        UsageError: there is no such file, or it is of another kind. TextError: it is not UTF-8 text.
    """
    known: dict[str, str] = {}
    for item in _items(source):
        if not item.wrong and (earlier := known.get(item.id)) is not None:
            yield Item(id=item.id, where=item.where, wrong=f"the id {item.id!r} is that of {earlier}, too")
            continue
        known[item.id] = item.where
        yield item


def _items(source: Path | str) -> Iterator[Item]:
    if str(source) == STANDARD_INPUT:
        if sys.stdin is None:
            raise UsageError("- reads standard input, which is closed; give a file")
        return _decoded("standard input", sys.stdin.buffer, _from_json)
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} is no list of texts; give a file that ends in {', '.join(READERS)}, or a folder"
        )
    return _from_file(path, reader)


def _from_file(path: Path, reader: Callable[[str, TextIO], Iterator[Item]]) -> Iterator[Item]:
    try:
        with path.open("rb") as file:
            yield from _decoded(path.name, file, reader)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _decoded(name: str, file: BinaryIO, reader: Callable[[str, TextIO], Iterator[Item]]) -> Iterator[Item]:
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from reader(name, lines)
    except UnicodeDecodeError as error:
        raise TextError(f"{name} is not UTF-8 text ({error.reason}); convert it first") from error
    finally:
        lines.detach()


def _from_json(name: str, lines: TextIO) -> Iterator[Item]:
    """Read one JSON object a line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            yield Item(id=numbered(number), where=where, wrong="it is no JSON")
            continue
        if not isinstance(found, dict):
            yield Item(id=numbered(number), where=where, wrong="it is no JSON object with a text")
            continue
        yield item_of(found, number, where)


def _from_table(name: str, lines: TextIO) -> Iterator[Item]:
    """Read a table whose first row names the columns, of which one must be `text`."""
    csv.field_size_limit(LONGEST_CELL)
    head = lines.readline()
    delimiter = next((each for each in DELIMITERS if "text" in _names(head, each)), None)
    if delimiter is None:
        raise UsageError(f"the first line of {name} names no column text; begin with a line such as id,text")
    rows = csv.DictReader(lines, fieldnames=_names(head, delimiter), delimiter=delimiter)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Item(id=numbered(rows.line_num + 1), where=f"{name}:{rows.line_num + 1}", wrong=str(error))
            continue
        if row is None:
            return
        number = rows.line_num + 1
        if None in row:
            wrong = f"it has more than {len(rows.fieldnames or ())} columns"
            yield Item(id=numbered(number), where=f"{name}:{number}", wrong=wrong)
            continue
        yield item_of({key: value for key, value in row.items() if value}, number, f"{name}:{number}")


def _names(head: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]


def _from_lines(name: str, lines: TextIO) -> Iterator[Item]:
    """Read one text a line."""
    for number, line in enumerate(lines, 1):
        if text := line.strip():
            yield Item(id=numbered(number), text=text, where=f"{name}:{number}")


def _from_folder(folder: Path) -> Iterator[Item]:
    """Read each text file of a folder, and of those in it, as one text that is named after the file."""
    paths = sorted(path for path in folder.rglob("*.txt") if path.is_file())
    if not paths:
        raise UsageError(f"the folder {folder} has no .txt file in it")
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            yield Item(id=name, where=path.name, wrong=f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            yield Item(id=name, where=path.name, wrong=f"it is not UTF-8 text ({error.reason})")
        else:
            yield item_of({"id": name, "text": text}, 0, path.name)


READERS = {".jsonl": _from_json, ".csv": _from_table, ".tsv": _from_table, ".txt": _from_lines}


def numbered(number: int) -> str:
    """The id of a line that has none: its number, with zeros in front so that files sort."""
    return f"{number:06d}"


def item_of(found: Mapping[str, Any], number: int, where: str) -> Item:
    """Make an item of the fields of a line; what is wrong with them is said in one sentence."""
    given = {name: found[name] for name in FIELDS if found.get(name) is not None}
    id = str(given.get("id", numbered(number)))
    more = {name: value for name, value in found.items() if name not in FIELDS}
    wrong = wrong_id(id) or _wrong_kind(given)
    if wrong:
        return Item(id=id, more=more, where=where, wrong=wrong)
    return Item(
        id=id,
        text=given["text"],
        voice=given.get("voice"),
        style=given.get("style"),
        speed=float(given["speed"]) if "speed" in given else None,
        seed=int(given["seed"]) if "seed" in given else None,
        more=more,
        where=where,
    )


def _wrong_kind(given: Mapping[str, Any]) -> str:
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        return "it has no text"
    for name in ("voice", "style"):
        if name in given and not isinstance(given[name], str):
            return f"its {name} is no text"
    for name, number in (("speed", float), ("seed", int)):
        try:
            if name in given and (isinstance(given[name], bool) or number(given[name]) != float(given[name])):
                return f"its {name} is {str(given[name])[:40]!r}"
        except (TypeError, ValueError, OverflowError):
            return f"its {name} is {str(given[name])[:40]!r}, which is no {'whole ' * (name == 'seed')}number"
    return ""


def wrong_id(id: str) -> str:
    """Why an id cannot name a file below the folder that is written; empty if it can."""
    parts = id.split("/")
    if not id.strip() or PurePosixPath(id).is_absolute() or any(part in ("", ".", "..") for part in parts):
        return f"its id {id[:40]!r} names no file below the output folder"
    if _FORBIDDEN.search(id) or any(part != part.strip() or part.startswith(".") for part in parts):
        return f"its id {id[:40]!r} has a character that a file's name cannot have everywhere"
    if not _encodable(id) or any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"its id {id[:40]!r} is too long for a file's name"
    return ""


def _encodable(id: str) -> bool:
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return True
