"""Memory, and what streams may take of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.engine.mel_stream import Conditions
from cosyrt.machine import memory
from tests.engine.test_mel_stream import voice


def test_the_kernel_tells() -> None:
    """Some is free, never more than there is."""
    total, free = memory.ram_bytes()
    assert total is not None and (free is None or 0 < free <= total)


@pytest.mark.parametrize(("free", "share"), [(8_000_000_000, 2_000_000_000), (None, memory.UNKNOWN_BYTES)])
def test_streams_take_a_share_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, free: int | None, share: int, stages: object
) -> None:
    """A quarter; little where nobody knows. Each voice's streams have it from the model."""
    monkeypatch.setattr(memory, "ram_bytes", lambda: (16_000_000_000, free))
    conditions = Conditions(stages, torch.device("cpu"))  # type: ignore[arg-type]
    assert conditions.of(voice(3)).cache_bytes == conditions.cache_bytes == share


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
    total, free = memory.ram_bytes()
    used, statistics, cached = GROUPS[limit]
    file = tmp_path / limit
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{1 << 62}\n")
    assert memory.ram_bytes()[0] == total
    if free is None:
        pytest.skip("the system does not tell what is free")
    file.write_text("1000000\n")
    assert memory.ram_bytes() == (1_000_000, 1_000_000)
    (tmp_path / used).write_text("900000\n")
    assert memory.ram_bytes() == (1_000_000, 100_000)
    (tmp_path / statistics).write_text(f"anon 600000\n{cached} 300000\n")
    assert memory.ram_bytes() == (1_000_000, 400_000)
    (tmp_path / used).write_text("1300001\n")
    assert memory.ram_bytes() == (1_000_000, 0)
