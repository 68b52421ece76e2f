"""Memory: what this machine has, what is free, and how much of it the pasts of streams may take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

CACHE_SHARE = 0.25  # of what is free once a model is loaded
UNKNOWN_BYTES = 1_000_000_000  # where the system does not tell what is free
CONTROL_GROUPS = Path("/sys/fs/cgroup")


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
    limit = _of_container()
    return (total, free) if limit is None else (min(total, limit), min(free, limit))


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


def _of_container() -> int | None:
    """The limit of the container this runs in, by either version of control groups."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = CONTROL_GROUPS / name
        text = path.read_text(encoding="ascii").strip() if path.exists() else "max"
        if text != "max":
            return int(text)  # the first version says a number without meaning where there is no limit
    return None
