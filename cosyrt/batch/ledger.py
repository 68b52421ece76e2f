"""What a batch has finished: a recording and a line for each, kept through a kill and a power cut.

A recording is first written whole under another name, then its line is added to `manifest.jsonl`, then the
recording takes its name. So a line without its recording has it under the other name, and is completed at the
next start; a recording without its line was not finished, and is made again. Nothing finished is made twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from cosyrt.batch.manifest import wrong_id
from cosyrt.errors import UsageError
from cosyrt.files import locked, replace_file

log = logging.getLogger(__name__)

MANIFEST, FAILURES, PARTS = "manifest.jsonl", "failed.jsonl", ".parts"

Entry = Mapping[str, Any]  # a line of the manifest: id, path, digest, bytes and what else is known


class Ledger:
    """The manifest of a folder and its recordings; one thread at a time writes."""

    def __init__(self, folder: Path, manifest: TextIO, failures: TextIO) -> None:
        self.folder, self._manifest, self._failures = folder, manifest, failures
        self.entries: dict[str, Entry] = {}  # by id

    def has(self, id: str, digest: str) -> bool:
        """Whether the recording of that id was made from that very request, and is there."""
        entry = self.entries.get(id)
        return entry is not None and entry["digest"] == digest and _is_there(self.folder, entry)

    def finish(self, entry: Entry, data: bytes) -> None:
        """Keep a recording and its line; whatever interrupts this, both are kept or neither.

        Raises:
            OSError: the disk is full, or the folder went away.
        """
        part = _part(self.folder, entry)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _append(self._manifest, entry)
        _take_name(self.folder, entry)
        self.entries[entry["id"]] = entry

    def fail(self, entry: Entry) -> None:
        """Note why a text could not be spoken."""
        _append(self._failures, entry)


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of a folder, which is made if there is none, and bring it in order.

    Raises:
        UsageError: the folder cannot be written, or another program is at work on it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, wait=False):
            entries = _in_order(folder)
            with (
                (folder / MANIFEST).open("a", encoding="utf-8") as manifest,
                (folder / FAILURES).open("w", encoding="utf-8") as failures,
            ):
                ledger = Ledger(folder, manifest, failures)
                ledger.entries = entries
                yield ledger
            _write_manifest(folder, ledger.entries)
            if not (folder / FAILURES).stat().st_size:
                (folder / FAILURES).unlink()
            (folder / PARTS).rmdir()
    except BlockingIOError as error:
        raise UsageError(
            f"another program is writing into {folder}; wait for it, or give another folder"
        ) from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; give another folder") from error


def _in_order(folder: Path) -> dict[str, Entry]:
    """Complete what was interrupted, drop what is not there, and give the lines that hold, by id."""
    parts = folder / PARTS
    parts.mkdir(exist_ok=True)
    found = dict[str, Entry]()
    for entry in _lines_of(folder / MANIFEST):
        if not _is_there(folder, entry) and _is_complete(_part(folder, entry), entry):
            _take_name(folder, entry)
        if _is_there(folder, entry):
            found[entry["id"]] = entry
    for part in parts.iterdir():
        part.unlink()
    _write_manifest(folder, found)
    return found


def _lines_of(path: Path) -> Iterator[Entry]:
    return lines_in(path.read_bytes(), str(path)) if path.exists() else iter(())


def lines_in(data: bytes, path: str) -> Iterator[Entry]:
    """Lines of a manifest; what was cut by a kill, or is none of ours, is left out."""
    lines = data.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            usable = all(isinstance(entry[key], str) for key in ("id", "path", "digest"))
            usable = usable and isinstance(entry["bytes"], int) and not wrong_id(entry["path"])
        except (ValueError, LookupError, TypeError, RecursionError):
            usable = False
        if usable:
            yield entry
        elif number < len(lines):
            log.warning("line %d of %s cannot be read and is left out", number, path)


def _write_manifest(folder: Path, entries: Mapping[str, Entry]) -> None:
    replace_file(folder / MANIFEST, as_lines(entries.values()))


def as_lines(entries: Iterable[Entry]) -> bytes:
    """Entries as the lines of a manifest."""
    return "".join(_line(entry) for entry in entries).encode()


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _append(file: TextIO, entry: Entry) -> None:
    file.write(_line(entry))
    file.flush()
    os.fsync(file.fileno())


def _part(folder: Path, entry: Entry) -> Path:
    return folder / PARTS / name_of(entry)


def name_of(entry: Entry) -> str:
    """A name for what is kept of a recording until it has its own."""
    return hashlib.sha256(f"{entry['id']}\n{entry['digest']}".encode()).hexdigest()


def _take_name(folder: Path, entry: Entry) -> None:
    """Give a recording that is complete its own name."""
    path = folder / entry["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(_part(folder, entry), path)


def _is_there(folder: Path, entry: Entry) -> bool:
    return _is_complete(folder / entry["path"], entry)


def _is_complete(path: Path, entry: Entry) -> bool:
    try:
        return path.is_file() and path.stat().st_size == entry["bytes"]
    except OSError:
        return False
