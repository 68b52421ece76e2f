"""Memory, and what streams may take of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.machine import memory
from cosyrt.units import MIB


def test_there_is_memory() -> None:
    """Some is free, never more than there is."""
    found = memory.ram()
    assert 0 < found.available <= found.total


def test_streams_take_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches of streams have a quarter of what is free, of what weights will take nothing; on a card of
    the card's memory."""
    monkeypatch.setattr(memory, "ram", lambda: memory.Ram(16_000_000_000, 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (400, 1_000))

    assert memory.cache_bytes(torch.device("cpu")) == 2_000_000_000
    assert memory.cache_bytes(torch.device("cpu"), 4_000_000_000) == 1_000_000_000
    assert memory.cache_bytes(torch.device("cpu"), 9_000_000_000) == 0
    assert memory.cache_bytes(torch.device("cuda")) == 100


GROUPS = {
    "memory.max": ("memory.current", "memory.stat", "inactive_file"),
    "memory/memory.limit_in_bytes": (
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
}


@pytest.mark.parametrize("limit", GROUPS)
def test_a_container_has_what_is_left_of_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    """The limit of either version of control groups counts where it is less than there is; free is what was
    not taken of it, and what the kernel only keeps in case that a file is read again."""
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    total = memory.ram().total
    used, statistics, cached = GROUPS[limit]
    file = tmp_path / limit
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{1 << 62}\n")
    assert memory.ram().total == total
    file.write_text("1000000\n")
    assert memory.ram() == (1_000_000, 1_000_000)
    (tmp_path / used).write_text("900000\n")
    assert memory.ram() == (1_000_000, 100_000)
    (tmp_path / statistics).write_text(f"anon 600000\n{cached} 300000\n")
    assert memory.ram() == (1_000_000, 400_000)
    (tmp_path / used).write_text("1300001\n")
    assert memory.ram() == (1_000_000, 0)


class Process:
    """A process whose memory the test decides; it notes when it was trimmed."""

    def __init__(self) -> None:
        self.held, self.after_trim, self.trims = 0, 0, 0

    def trim(self) -> None:
        self.trims += 1
        self.held = self.after_trim


def test_freed_memory_is_given_back_beyond_a_threshold() -> None:
    """Not for a little, each time for much, and what is in use is no reason to try again and again."""
    process = Process()
    freed = memory.FreedMemory(lambda: process.held, process.trim)
    process.held = process.after_trim = 500 * MIB  # all of it in use
    freed.give_back()
    process.held = 515 * MIB
    freed.give_back()
    assert process.trims == 1
    process.held = 520 * MIB
    freed.give_back()
    assert process.trims == 2 and process.held == 500 * MIB
    process.held = process.after_trim = 100 * MIB  # a model was let go
    freed.give_back()
    process.held = 120 * MIB
    freed.give_back()
    assert process.trims == 3


def test_a_system_without_such_an_allocator_is_left_alone() -> None:
    """There nothing is measured or given back."""
    memory.FreedMemory(lambda: pytest.fail("it was measured"), None).give_back()


@pytest.mark.skipif(memory._malloc_trim() is None, reason="needs glibc")
def test_this_process_gives_back_what_it_has_freed() -> None:
    """Holes between blocks that are still used go back to the system, as the process's size shows."""
    freed = memory.freed_memory()
    freed.give_back()
    blocks = [bytes([1]) * 100_000 for _ in range(2_000)]  # each below what glibc maps for itself
    del blocks[:-1]  # the last one keeps the heap from shrinking
    before = memory._resident_bytes()
    freed.give_back()

    assert memory._resident_bytes() < before - 100 * MIB
