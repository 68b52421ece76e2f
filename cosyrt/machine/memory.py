"""Memory: what this machine has, what is free, and how much of it the pasts of streams may take."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch

CACHE_SHARE = 0.25  # of what is free once a model is loaded
UNKNOWN_BYTES = 1_000_000_000  # where the system does not tell what is free
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


def cache_bytes(device: torch.device) -> int:
    """What the pasts of all streams together may take on the device, and again the prompts of all voices."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else ram_bytes()[1]
    return UNKNOWN_BYTES if free is None else int(CACHE_SHARE * free)


def ram_bytes() -> tuple[int | None, int | None]:
    """Total and available; None where the system does not tell."""
    if sys.platform == "win32":
        return _windows()
    path = Path("/proc/meminfo")
    if not path.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines}
    total, free = (kilobytes[name] * 1024 for name in ("MemTotal", "MemAvailable"))
    for each in VERSIONS:
        if (limit := _number(CONTROL_GROUPS / each.limit)) is not None:
            total, free = min(total, limit), min(free, max(0, limit - _used(each)))
    return total, free


def _windows() -> tuple[int, int]:
    """GlobalMemoryStatusEx: its structure is a length, a percentage, and seven 64-bit sizes in bytes."""
    import ctypes
    import struct

    size = struct.calcsize("=II7Q")
    status = ctypes.create_string_buffer(struct.pack("=II7Q", size, *[0] * 8), size)
    kernel = vars(ctypes)["windll"].kernel32
    assert kernel.GlobalMemoryStatusEx(status), "the system does not tell its memory"
    _, _, total, free, *_ = struct.unpack("=II7Q", status.raw)
    return total, free


def _used(group: ControlGroup) -> int:
    """What the container has taken and cannot be had back."""
    path = CONTROL_GROUPS / group.statistics
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    cached = dict(line.split() for line in lines).get(group.cached, "0")
    return max(0, (_number(CONTROL_GROUPS / group.used) or 0) - int(cached))


def _number(path: Path) -> int | None:
    text = path.read_text(encoding="ascii").strip() if path.exists() else "max"
    return None if text == "max" else int(text)
