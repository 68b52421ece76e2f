"""Run a generator ahead of its reader, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def ahead(source: Generator[T, None, None], room: int) -> Generator[T, None, None]:
    """The items of `source`, made by a thread that stays at most `room` items in front.

    An error of the source is raised here when the reader comes to it, as it would be without the thread; one
    that an early close leaves unreached is dropped. Closing the generator stops the thread at its next item,
    closes `source` there and waits for it, so that nothing goes on behind the reader's back. What it does not
    wait for are `theirs`.
    """
    maker = _Maker(source, room)
    maker.start()
    try:
        while not isinstance(item := maker.made.get(), _End):
            maker.free.release()
            yield item
        if not isinstance(item.error, StopIteration):
            raise item.error
    finally:
        maker.stop()


def theirs(items: Iterable[T]) -> Iterator[T]:
    """Items that somebody else makes, such as the words of a chat model, who may think for any time.

    A thread of `ahead` that waits for one when it is closed is left to wait, and does nothing afterwards.
    """
    return _Theirs(iter(items))


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in the queue."""

    error: BaseException  # StopIteration where nothing went wrong


class _Closed(Exception):
    """Nobody reads any more."""


class _Maker(threading.Thread, Generic[T]):
    """Makes the items; an event tells whether its end need not be waited for."""

    def __init__(self, source: Generator[T, None, None], room: int) -> None:
        super().__init__(name="cosyrt-ahead", daemon=True)
        self.source = source
        self.made: SimpleQueue[T | _End] = SimpleQueue()
        self.free = threading.Semaphore(room)
        self.closed = threading.Event()
        self.idle = threading.Event()  # it is done, or waits for what is theirs
        self.done = False
        self.error: BaseException | None = None  # of closing the source

    def run(self) -> None:
        """Until the source ends or the reader has gone."""
        try:
            while self.free.acquire() and not self.closed.is_set():
                self.made.put(next(self.source))
        except _Closed:
            pass
        except BaseException as error:
            self.made.put(_End(error))
        try:
            self.source.close()
        except BaseException as error:
            self.error = error
        self.done = True
        self.idle.set()

    def stop(self) -> None:
        """Let nothing more be made; raises what closing the source raised."""
        self.closed.set()
        self.free.release()
        self.idle.wait()
        if self.done:
            self.join()
        if self.error is not None:
            raise self.error

    def ask(self, items: Iterator[Any]) -> Any:
        """The next of theirs. `closed` is looked at after `idle` was taken back: `stop` sets it before it
        waits, so that a reader who did not wait is always seen."""
        if self.closed.is_set():
            raise _Closed
        self.idle.set()
        try:
            return next(items)
        finally:
            self.idle.clear()
            if self.closed.is_set():
                raise _Closed


class _Theirs(Iterator[T]):
    def __init__(self, items: Iterator[T]) -> None:
        self.items = items

    def __next__(self) -> T:
        thread = threading.current_thread()
        item: T = thread.ask(self.items) if isinstance(thread, _Maker) else next(self.items)
        return item
