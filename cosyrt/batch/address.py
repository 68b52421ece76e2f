"""What a batch has finished, in a store that fsspec reaches: `s3://bucket/folder`, `gs://…`, `memory://…`.

There a file appears whole or not at all, and nothing is renamed or added to. So each recording has a small
file about itself below `.lines`, which is written after it: a recording without one was not finished. When a
run ends, and before the next begins, their lines become `manifest.jsonl`. A store has no locks: two runs over
one list at the same time do the same work twice, and keep it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cosyrt.batch.ledger import FAILURES, MANIFEST, Entry, as_lines, lines_in, name_of
from cosyrt.errors import MissingDependency, UsageError, one_line

LINES = ".lines"


class AddressLedger:
    """The manifest of an address and its recordings; one thread at a time writes."""

    def __init__(self, files: Any, root: str) -> None:
        self.files, self.root = files, root.rstrip("/")  # an fsspec file system, and a path in it
        self.entries: dict[str, Entry] = {}  # by id
        self.failures: list[Entry] = []
        sizes = files.find(self.root, detail=True) if files.exists(self.root) else {}
        self._sizes = {path.removeprefix(f"{self.root}/"): facts["size"] for path, facts in sizes.items()}

    def has(self, id: str, digest: str) -> bool:
        """Whether the recording of that id was made from that very request, and is there."""
        entry = self.entries.get(id)
        return entry is not None and entry["digest"] == digest and self._is_there(entry)

    def finish(self, entry: Entry, data: bytes) -> None:
        """Keep a recording and its line; whatever interrupts this, both are kept or neither.

        Raises:
            OSError: the store takes no more.
        """
        self._write(entry["path"], data)
        self._write(f"{LINES}/{name_of(entry)}", as_lines([entry]))
        self._sizes[entry["path"]] = len(data)
        self.entries[entry["id"]] = entry

    def fail(self, entry: Entry) -> None:
        """Note why a text could not be spoken."""
        self.failures.append(entry)

    def bring_in_order(self) -> None:
        """Find the lines that hold, of the manifest and of recordings that were finished after it."""
        lines = [path for path in self._sizes if path.startswith(f"{LINES}/")]
        for path in [MANIFEST, *lines]:
            if path in self._sizes:
                data: bytes = self.files.cat_file(f"{self.root}/{path}")
                found = (entry for entry in lines_in(data, path) if self._is_there(entry))
                self.entries |= {entry["id"]: entry for entry in found}
        self.settle()

    def settle(self) -> None:
        """Write the manifest, and take away what it has made superfluous."""
        self._write(MANIFEST, as_lines(self.entries.values()))
        if self.files.exists(f"{self.root}/{LINES}"):
            self.files.rm(f"{self.root}/{LINES}", recursive=True)
        if self.failures:
            self._write(FAILURES, as_lines(self.failures))
        elif self.files.exists(f"{self.root}/{FAILURES}"):
            self.files.rm_file(f"{self.root}/{FAILURES}")

    def _write(self, path: str, data: bytes) -> None:
        whole = f"{self.root}/{path}"
        self.files.makedirs(whole.rpartition("/")[0], exist_ok=True)  # where there are folders
        self.files.pipe_file(whole, data)

    def _is_there(self, entry: Entry) -> bool:
        return bool(self._sizes.get(entry["path"]) == entry["bytes"])


@contextmanager
def opened(address: str) -> Iterator[AddressLedger]:
    """Open the ledger of an address, and bring it in order.

    Raises:
        UsageError: there is no such kind of store, or it refuses. MissingDependency: its package is missing.
    """
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(address)
        ledger = AddressLedger(files, root)
        ledger.bring_in_order()
    except ImportError as error:
        raise MissingDependency(f"{address} needs another package: {one_line(error, 200)}") from error
    except (ValueError, OSError) as error:
        raise UsageError(f"cannot write into {address}: {one_line(error, 200)}; give another one") from error
    try:
        yield ledger
    finally:
        ledger.settle()
