"""The threads that run the turns of a scheduler: each takes a turn, runs it, and takes the next.

What is chosen, and what becomes of it, is decided under one lock; a turn is run outside of it. A processor
has a worker for the language model beside one for flow and vocoder, or two for the latter, each with its
share of the cores: calls as small as those of one stream gain little from several threads, and lose much
where a core is taken by somebody else.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

import torch

from cosyrt.engine.dispatch import Done, Turn

WORKERS = 2  # on a processor of several cores


class TurnSource(Protocol):
    """What gives the workers their turns; all but `run` is called by one of them at a time."""

    def next_turn(self) -> Turn | None:
        """The turn that is to be run now, which has been noted as under way; None: there is none."""

    def leaves_more(self, turn: Turn) -> bool:
        """Whether there may be another turn while this one is under way."""

    def run(self, turn: Turn) -> Done:
        """Run a turn; by several workers at once, of different turns."""

    def finish(self, turn: Turn, done: Done) -> None:
        """Take in what came of a turn."""

    def rest_s(self) -> float | None:
        """How long there may be nothing to do, if nothing wakes the workers; None: for ever."""

    def ended(self, error: BaseException | None) -> None:
        """Let go of everything: the last worker has ended, by that error where it was one of ours."""


def workers_on(device: torch.device) -> int:
    """How many workers a device has."""
    return WORKERS if device.type == "cpu" and torch.get_num_threads() >= WORKERS else 1


class Bell:
    """Wakes the one thread that waits for it.

    It may be rung in the middle of anything, even while it is being rung: where a ticket is collected as
    garbage, its thread may have been at that very moment inside the lock of an `Event`, and waits for itself.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake the thread, or let it not wait the next time."""
        self._rings.put(None)

    def clear(self) -> None:
        """Forget that it was rung."""
        with suppress(Empty):
            while True:
                self._rings.get_nowait()

    def wait(self, most_s: float | None) -> None:
        """Wait until it has been rung, but no longer than that."""
        with suppress(Empty):
            self._rings.get(timeout=most_s)


class Workers:
    """So many threads that run turns until they are stopped."""

    def __init__(self, source: TurnSource, count: int) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._stopped = False
        self._error: BaseException | None = None
        self._left = count  # that have not ended
        self._bells = [Bell() for _ in range(count)]
        threads = torch.get_num_threads()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(bell, max(1, threads // count)),
                name="cosyrt-scheduler",
                daemon=True,
            )
            for bell in self._bells
        ]
        self._begun = threading.Barrier(count + 1)
        for each in self._threads:
            each.start()
        self._begun.wait()
        torch.set_num_threads(threads)  # which other threads begin with; each worker has set its own

    def wake(self) -> None:
        """Let those that have nothing to do look again."""
        for bell in self._bells:
            bell.ring()

    def stop(self) -> None:
        """Take no further turn, and wait until those that are under way have come to their end."""
        self._stopped = True
        self.wake()
        for each in self._threads:
            each.join()

    def _run(self, bell: Bell, threads: int) -> None:
        torch.get_num_threads()  # the first call in a thread takes over what is set for new ones
        torch.set_num_threads(threads)
        self._begun.wait()
        try:
            bell.clear()
            while not self._stopped:  # asked after the bell is cleared, or the ring that says so is lost
                self._take_turn(bell)
                bell.clear()
        except BaseException as error:  # ours: it must not leave readers waiting
            self._error, self._stopped = error, True
            raise
        finally:
            self._leave()

    def _take_turn(self, bell: Bell) -> None:
        """Run a turn, or wait until there may be one."""
        with self._lock:
            turn = self._source.next_turn()
            rest_s = self._source.rest_s() if turn is None else None
            more = turn is not None and self._source.leaves_more(turn)
        if turn is None:
            bell.wait(rest_s)
            return
        if more:
            self.wake()
        done = self._source.run(turn)
        with self._lock:
            self._source.finish(turn, done)

    def _leave(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self._source.ended(self._error)
        self.wake()
