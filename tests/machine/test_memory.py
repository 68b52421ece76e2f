"""Memory, and what streams may take of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.machine import memory


def test_there_is_memory() -> None:
    """Some is free, never more than there is."""
    found = memory.ram()
    assert 0 < found.available <= found.total


def test_streams_take_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches of streams have a quarter of the memory that is free, on a card of the card's."""
    monkeypatch.setattr(memory, "ram", lambda: memory.Ram(16_000_000_000, 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (400, 1_000))

    assert memory.cache_bytes(torch.device("cpu")) == 2_000_000_000
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
