"""torch.cuda of a machine with several cards, as far as it says on which of them something is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from cosyrt.accel.backend.graph_cache import Run

FIRST, SECOND = torch.device("cuda", 0), torch.device("cuda", 1)


class FakeStream:
    """A stream of one card."""

    cuda_stream = 7

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: FakeStream) -> None:
        assert other.device == self.device


class FakeGraph:
    """A graph of which nothing was recorded."""

    def replay(self) -> None:
        """Nothing happens."""


class Cards:
    """Which card and which stream are current; each thread would have its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = FIRST
        self.streams: dict[torch.device, FakeStream] = {}
        self.settled: list[torch.device] = []
        for name in ("device", "stream", "current_stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: 1)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
        monkeypatch.setattr(torch.cuda, "Stream", lambda where=None: FakeStream(where or self.current))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda where=None: self.settled.append(where))

    @contextmanager
    def device(self, where: torch.device) -> Iterator[None]:
        before, self.current = self.current, where
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        before = self.current_stream(stream.device)
        with self.device(stream.device):
            self.streams[stream.device] = stream
            try:
                yield
            finally:
                self.streams[stream.device] = before

    def current_stream(self, where: torch.device | None = None) -> FakeStream:
        where = where or self.current
        return self.streams.setdefault(where, FakeStream(where))

    @contextmanager
    def graph(self, graph: FakeGraph, pool: int, stream: FakeStream, **mode: str) -> Iterator[None]:
        with self.stream(stream):
            yield


def itself(run: Run) -> Run:
    """The network in the graph's place; as of a graph, every result is at the same one."""
    place = run().clone()
    return lambda: place.copy_(run())
