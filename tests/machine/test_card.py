"""A card's memory, as torch.cuda tells it."""

from __future__ import annotations

import pytest
import torch

from cosyrt.machine.card import BLOCK_MB, CudaCard


class Block:
    """Memory that remembers how much of it there is."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def numel(self) -> int:
        return BLOCK_MB << 20

    def __getitem__(self, part: slice) -> Block:
        return self

    def copy_(self, other: Block) -> None:
        self.log.append("copied")


def test_blocks_are_taken_until_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates of those that were there, and everything is given back."""
    log: list[str] = []

    def empty(*_size: int, **_kind: object) -> Block:
        if log.count("taken") == 2:
            raise torch.cuda.OutOfMemoryError("full")
        log.append("taken")
        return Block(log)

    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: log.append("given back"))
    rates = CudaCard(torch.device("cuda")).copy_rates(8)

    assert len(rates) == 2 and all(rate > 0 for rate in rates)
    assert log.count("copied") == 6
    assert (log[0], log[-1]) == ("given back", "given back")


@pytest.mark.gpu
def test_a_real_card_has_memory_and_copies_within_it() -> None:
    """What is free is at most what there is, and copies run at gigabytes a second."""
    card = CudaCard(torch.device("cuda", 0))

    assert 0 < card.free_mb <= card.total_mb
    assert min(card.copy_rates(2)) > 1
