"""An engine that only keeps time: chunks of 100 ms come when a listener would want them.

It stands in for the scheduler of a service, so that what is measured is everything around it: admission,
encoding, HTTP, the sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cosyrt.audio import Audio

if TYPE_CHECKING:
    from cosyrt.engine.request import Request
    from cosyrt.engine.scheduler import Load
    from cosyrt.service.state import Service

CHUNK_S, HZ = 0.1, 24_000
VARIETY = 16  # of sounds, so that streams can be told apart


@lru_cache(maxsize=VARIETY * VARIETY)
def chunk(seed: int, number: int) -> Audio:
    """The sound of one chunk of a stream, which no other stream has."""
    noise = np.random.default_rng((seed, number)).integers(-8_000, 8_000, round(HZ * CHUNK_S))
    return Audio((noise / 32_768).astype(np.float32), HZ)


class PacedTicket:
    """One stream of so many chunks as its text has characters."""

    def __init__(self, request: Request) -> None:
        self.seed, self.count = request.seed % VARIETY, len(str(request.text))
        self.pieces: list[Any] = []
        self._next, self._began = 0, time.monotonic()

    def __aiter__(self) -> AsyncIterator[Audio]:
        return self

    async def __anext__(self) -> Audio:
        if self._next == self.count:
            raise StopAsyncIteration
        await asyncio.sleep(self._began + self._next * CHUNK_S - time.monotonic())
        self._next += 1
        return chunk(self.seed, self._next % VARIETY)

    def cancel(self) -> None:
        """Give no more."""
        self.count = self._next

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


class PacedScheduler:
    """Takes whatever comes."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def submit(self, request: Request, *, key: str = "") -> PacedTicket:
        """Begin a stream."""
        return PacedTicket(request)

    def load(self) -> Load:
        """Tell of an engine that has nothing to do."""
        return self._load

    def forget(self, digest: str) -> None:
        """Know no voices, and so forget them."""


def pace(service: Service) -> None:
    """Let a service speak by the clock alone."""
    paced: Any = PacedScheduler(service.scheduler.load())
    service.scheduler = paced
