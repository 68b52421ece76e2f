"""The threads that run the turns of a scheduler: each takes a turn, runs it, and takes the next.

What is chosen, and what becomes of it, is decided under one lock; a turn is run outside of it. A processor
has a worker for the language model beside one for flow and vocoder, or two for the latter, each with its
share of the cores: calls as small as those of one stream gain little from several threads, and lose much
where a core is taken by somebody else. Where one request is alone and a turn of flow or vocoder leaves the
others nothing to do, as before its first audio, that turn has all cores.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

import torch

from cosyrt.engine.collected import is_collecting, watch_collections
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
    """So many threads that run turns until they are stopped, each on its share of the cores.

    Where there are several, one more has all cores: it runs the turns beside which nobody could do anything.
    """

    def __init__(self, source: TurnSource, count: int) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._stopped = False
        self._error: BaseException | None = None
        self._bells = [Bell() for _ in range(count)]
        self._alone: SimpleQueue[Turn | None] | None = SimpleQueue() if count > 1 else None
        cores = torch.get_num_threads()
        runs = [
            partial(self._run, partial(self._take_turns, bell), max(1, cores // count))
            for bell in self._bells
        ]
        if self._alone is not None:
            runs.append(partial(self._run, partial(self._run_alone, self._alone), cores))
        self._left = len(runs)  # that have not ended
        self._threads = [threading.Thread(target=run, name="cosyrt-scheduler", daemon=True) for run in runs]
        self._begun = threading.Barrier(len(runs) + 1)
        watch_collections()
        atexit.register(self.stop)  # a thread in the middle of a call of torch would end the program badly
        for each in self._threads:
            each.start()
        self._begun.wait()
        torch.set_num_threads(cores)  # which other threads begin with; each worker has set its own

    def wake(self) -> None:
        """Let those that have nothing to do look again."""
        for bell in self._bells:
            bell.ring()

    def stop(self) -> None:
        """Take no further turn, and wait until those that are under way have come to their end.

        A worker waits for nobody, nor does a collection of garbage: it may hold what the workers need.
        """
        self._end()
        if threading.current_thread() in self._threads or is_collecting():
            return
        for each in self._threads:
            each.join()

    def _end(self) -> None:
        """Let all threads come to their end."""
        self._stopped = True
        self.wake()
        if self._alone is not None:
            self._alone.put(None)

    def _run(self, work: Callable[[], None], cores: int) -> None:
        torch.get_num_threads()  # the first call in a thread takes over what is set for new ones
        torch.set_num_threads(cores)
        self._begun.wait()
        try:
            work()
        except BaseException as error:  # ours: it must not leave readers waiting
            self._error = error
            raise
        finally:
            self._leave()

    def _take_turns(self, bell: Bell) -> None:
        bell.clear()
        while not self._stopped:  # asked after the bell is cleared, or the ring that says so is lost
            self._take_turn(bell)
            bell.clear()

    def _take_turn(self, bell: Bell) -> None:
        """Run a turn, hand it to the one with all cores, or wait until there may be one."""
        with self._lock:
            turn = self._source.next_turn()
            rest_s = self._source.rest_s() if turn is None else None
            more = turn is not None and self._source.leaves_more(turn)
        if turn is None:
            bell.wait(rest_s)
        elif turn.alone and self._alone is not None:
            self._alone.put(turn)
        else:
            if more:
                self.wake()
            self._run_turn(turn)

    def _run_alone(self, turns: SimpleQueue[Turn | None]) -> None:
        """Run the turns that are handed over, each with all cores."""
        while (turn := turns.get()) is not None and not self._stopped:
            self._run_turn(turn)
            self.wake()

    def _run_turn(self, turn: Turn) -> None:
        done = self._source.run(turn)
        with self._lock:
            self._source.finish(turn, done)

    def _leave(self) -> None:
        """Note that a thread has ended, and with the first one that breaks let all others end."""
        with self._lock:
            self._left -= 1
            if not self._left:
                self._source.ended(self._error)
                atexit.unregister(self.stop)
        self._end()
