"""Memory, and what streams may take of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.engine import ram
from cosyrt.engine.mel_stream import Conditions
from tests.engine.test_mel_stream import voice


def test_the_kernel_tells() -> None:
    """Some is free, never more than there is."""
    total, free = ram.ram_bytes()
    assert total is not None and (free is None or 0 < free <= total)


@pytest.mark.parametrize(("free", "share"), [(8_000_000_000, 2_000_000_000), (None, ram.UNKNOWN_BYTES)])
def test_streams_take_a_share_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, free: int | None, share: int, stages: object
) -> None:
    """A quarter; little where nobody knows. Each voice's streams have it from the model."""
    monkeypatch.setattr(ram, "ram_bytes", lambda: (16_000_000_000, free))
    conditions = Conditions(stages, torch.device("cpu"))  # type: ignore[arg-type]
    assert conditions.of(voice(3)).cache_bytes == conditions.cache_bytes == share


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_what_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """The limit of either version of control groups counts, and only where it is less than there is."""
    monkeypatch.setattr(ram, "CONTROL_GROUPS", tmp_path)
    total, free = ram.ram_bytes()
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{1 << 62}\n")
    assert ram.ram_bytes()[0] == total
    file.write_text("1000000\n")
    assert free is None or ram.ram_bytes() == (1_000_000, 1_000_000)
