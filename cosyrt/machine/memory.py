"""Memory: what this machine has, what is free, what the caches of streams may take, and giving it back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from cosyrt.units import MIB

CACHE_SHARE = 0.25  # of what is free once a model is loaded
KEPT_FREE_BYTES = 16 * MIB  # that freed memory may add to the process before it is given back
CONTROL_GROUPS = Path("/sys/fs/cgroup")


class ControlGroup(NamedTuple):
    """The files of a container's limit, by one version of control groups."""

    limit: str  # the first version has a number without meaning where there is no limit, the second `max`
    used: str
    statistics: str
    cached: str  # in them: what the kernel gives back when it is asked to, counted as used


VERSIONS = (
    ControlGroup("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ControlGroup(
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


class Ram(NamedTuple):
    """Main memory that this process may use, in bytes."""

    total: int
    available: int


def cache_bytes(device: torch.device, unread_bytes: int = 0) -> int:
    """Bytes that the caches of all streams may take on a device, and once more the prompts of all voices.

    Weights that are mapped from their file count as free until they are read: what of them is still to come
    is left out.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else ram().available
    return int(CACHE_SHARE * max(0, free - unread_bytes))


class FreedMemory:
    """Gives memory that was freed back to the system, once the process has grown by more than a little.

    Tensors of ever new lengths leave holes between them, which glibc keeps: a process that speaks many texts
    would grow with each. Elsewhere than on Linux with glibc nothing is done.
    """

    def __init__(
        self,
        resident: Callable[[], int],  # bytes that the process holds
        trim: Callable[[], object] | None,
    ) -> None:
        self._resident, self._trim, self._least = resident, trim, 0

    def give_back(self) -> None:
        """Give free memory back if the process has grown by it; otherwise this is cheap."""
        if self._trim is None:
            return
        held = self._resident()
        if held > self._least + KEPT_FREE_BYTES:
            self._trim()
            self._least = self._resident()
        else:
            self._least = min(self._least, held)


@cache
def freed_memory() -> FreedMemory:
    """What this process has freed; there is one allocator, so there is one of these."""
    return FreedMemory(_resident_bytes, _malloc_trim())


def _malloc_trim() -> Callable[[], object] | None:
    """glibc's function that gives back what is free, or None where the C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if found is None else lambda: found(0)


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def ram() -> Ram:
    """Main memory of this machine, or of the container in it."""
    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    for each in VERSIONS:
        if (limit := _number(CONTROL_GROUPS / each.limit)) is not None:
            total, available = min(total, limit), min(available, max(0, limit - _used(each)))
    return Ram(total, available)


def _used(group: ControlGroup) -> int:
    """Bytes that the container has taken and the kernel cannot take back."""
    path = CONTROL_GROUPS / group.statistics
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    cached = dict(line.split() for line in lines).get(group.cached, "0")
    return max(0, (_number(CONTROL_GROUPS / group.used) or 0) - int(cached))


def _number(path: Path) -> int | None:
    text = path.read_text(encoding="ascii").strip() if path.exists() else "max"
    return None if text == "max" else int(text)
