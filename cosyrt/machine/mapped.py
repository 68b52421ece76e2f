"""Weights that are mapped from their file: what nothing reads for a while is given back to the system.

A mapped weight is in memory once it was read, and stays there although a faster copy speaks in its place.
Given back, it costs nothing; whoever reads it again, such as the plain stages when a faster one has failed,
finds it in the file as it was. Only where nothing of a file was changed in memory is any of it given back.
On other systems than Linux nothing is done.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from torch import Tensor

from cosyrt.units import MIB

MAPPINGS = Path("/proc/self/smaps")
PAGES = Path("/proc/self/pagemap")
PAGE_ENTRY = np.dtype(np.uint64)  # of each page of the address space; its highest bit says that it is present
PRESENT = np.uint64(1 << 63)
BATCH_BYTES = 64 * MIB  # that are read between two returns: a return looks at all mappings of the process
NO_FILE = "0"  # the inode of memory that no file is mapped to


class Mapping(NamedTuple):
    """Addresses that a file is mapped to, none of them changed in memory."""

    start: int
    end: int  # behind the last


class Mappings:
    """The unchanged mappings of this process, as they are now."""

    def __init__(self) -> None:
        text = MAPPINGS.read_text(encoding="utf-8", errors="replace") if MAPPINGS.exists() else ""
        self._all = unchanged_mappings(text)
        self._starts = [each.start for each in self._all]

    def of(self, tensor: Tensor) -> Mapping | None:
        """The mapping that all of a tensor lies in."""
        if tensor.device.type != "cpu" or not tensor.is_contiguous():
            return None
        place = bisect_right(self._starts, tensor.data_ptr()) - 1
        inside = place >= 0 and tensor.data_ptr() + tensor.nbytes <= self._all[place].end
        return self._all[place] if inside else None


class GivenBack:
    """Gives back what has been read of mapped weights, a batch at a time, and the rest at the end."""

    def __init__(self) -> None:
        self._read: list[Tensor] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()

    def add(self, tensor: Tensor) -> None:
        """Take note of a tensor that nothing reads for a while."""
        self._read.append(tensor)
        self._bytes += tensor.nbytes
        if self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        give_back(self._read)
        self._read, self._bytes = [], 0


def give_back(tensors: Iterable[Tensor]) -> None:
    """Let the system have the memory of those tensors that are mapped from a file and unchanged."""
    advise = _madvise()
    if advise is None:
        return
    mappings = Mappings()
    for tensor in tensors:
        if mappings.of(tensor) is not None:
            first = tensor.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
            advise(first, tensor.data_ptr() + tensor.nbytes - first, mmap.MADV_DONTNEED)


def unread_bytes(tensors: Iterable[Tensor]) -> int:
    """Memory that tensors will take once they are read: pages of theirs that are not there yet.

    0 where the system does not tell (Linux's `/proc/self/pagemap`).
    """
    try:
        with PAGES.open("rb", buffering=0) as pages:
            return mmap.PAGESIZE * sum(_absent(pages, *run) for run in _runs_of_pages(tensors))
    except OSError:
        return 0


def _runs_of_pages(tensors: Iterable[Tensor]) -> Iterator[tuple[int, int]]:
    """Pages that tensors lie in, as runs without a gap: the first, and the one behind the last."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes)
        for tensor in tensors
        if tensor.device.type == "cpu" and tensor.is_contiguous() and tensor.nbytes
    )
    first = behind = 0
    for start, end in spans:
        if start // mmap.PAGESIZE > behind:
            yield first, behind
            first = start // mmap.PAGESIZE
        behind = max(behind, (end - 1) // mmap.PAGESIZE + 1)
    yield first, behind


def _absent(pages: RawIOBase, first: int, behind: int) -> int:
    """Number of pages of a run that are not in this process's memory."""
    pages.seek(first * PAGE_ENTRY.itemsize)
    entries = np.frombuffer(pages.read((behind - first) * PAGE_ENTRY.itemsize) or b"", PAGE_ENTRY)
    return int(np.count_nonzero(entries < PRESENT))


def unchanged_mappings(text: str) -> list[Mapping]:
    """Read the kernel's list of a process's mappings: those of files that were not changed, in order."""
    found: list[Mapping] = []
    candidate: Mapping | None = None
    for line in text.splitlines():
        name, *values = line.split()
        if not name.endswith(":"):
            start, _, end = name.partition("-")
            candidate = None if values[3] == NO_FILE else Mapping(int(start, 16), int(end, 16))
        elif name == "Anonymous:" and candidate is not None and values[0] == "0":
            found.append(candidate)
    return found


@cache
def _madvise() -> ctypes._NamedFuncPointer | None:
    """The C library's function that says what is not needed; None on a system that answers otherwise."""
    if not sys.platform.startswith("linux") or not MAPPINGS.exists():
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
