"""A graphics card's memory: how much is free, and how fast more of it is."""

from __future__ import annotations

import time
from typing import Protocol

import torch
from torch import Tensor

BLOCK_MB = 64
MB = 1 << 20
COPIES = 3  # of each block; the fastest counts


class Card(Protocol):
    """What the doctor asks of a card."""

    @property
    def total_mb(self) -> float:
        """All of its memory."""

    @property
    def free_mb(self) -> float:
        """What nobody has taken."""

    @property
    def reserved_mb(self) -> float:
        """What torch has taken in this process."""

    def copy_rates(self, blocks: int) -> list[float]:
        """Take blocks of 64 MB one after another and copy within each: GB/s; shorter if one is refused."""


class CudaCard:
    """A card by torch.cuda."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def total_mb(self) -> float:
        """All of its memory."""
        return float(torch.cuda.mem_get_info(self.device)[1] / MB)

    @property
    def free_mb(self) -> float:
        """What nobody has taken."""
        return float(torch.cuda.mem_get_info(self.device)[0] / MB)

    @property
    def reserved_mb(self) -> float:
        """What torch has taken in this process."""
        return torch.cuda.memory_reserved(self.device) / MB

    def copy_rates(self, blocks: int) -> list[float]:
        """Take blocks of 64 MB one after another and copy within each: GB/s; shorter if one is refused."""
        torch.cuda.empty_cache()  # so that each block is taken from the card
        taken: list[Tensor] = []
        rates: list[float] = []
        try:
            for _ in range(blocks):
                taken.append(torch.empty(BLOCK_MB * MB, dtype=torch.uint8, device=self.device))
                rates.append(max(self._copied(taken[-1]) for _ in range(COPIES)))
        except torch.cuda.OutOfMemoryError:
            return rates
        finally:
            taken.clear()
            torch.cuda.empty_cache()
        return rates

    def _copied(self, block: Tensor) -> float:
        half = block.numel() // 2
        torch.cuda.synchronize(self.device)
        begin = time.perf_counter()
        block[:half].copy_(block[half:])
        torch.cuda.synchronize(self.device)
        return half / (time.perf_counter() - begin) / 1e9
