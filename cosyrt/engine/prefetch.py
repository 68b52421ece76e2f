"""Run a generator in a thread of its own, ahead of its reader."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def prefetch(source: Generator[T, None, None], limit: int) -> Generator[T, None, None]:
    """The items of `source`, made by a thread that stays at most `limit` items in front of the reader.

    An error of the source is raised here when the reader comes to it, as it would be without the thread; one
    that an early close leaves unreached is dropped. Closing the generator stops the thread at its next item,
    closes `source` there and waits for it, so that nothing goes on behind the reader's back. It does not wait
    for an `external` item.
    """
    producer = _Producer(source, limit)
    producer.start()
    try:
        while not isinstance(item := producer.items.get(), _End):
            producer.free.release()
            yield item
        if not isinstance(item.error, StopIteration):
            raise item.error
    finally:
        producer.stop()


def external(items: Iterable[T]) -> Iterator[T]:
    """Mark an iterator whose next item may block for any time; closing `prefetch` never waits for it.

    The words of a chat model are such items. A thread that waits for one when its reader closes is left to
    wait, and does nothing afterwards.
    """
    return _External(iter(items))


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in the queue."""

    error: BaseException  # StopIteration where nothing went wrong


class _Closed(Exception):
    """Nobody reads any more."""


class _Producer(threading.Thread, Generic[T]):
    """A thread that makes the items; `idle` is set when nobody need wait for its end."""

    def __init__(self, source: Generator[T, None, None], limit: int) -> None:
        super().__init__(name="cosyrt-prefetch", daemon=True)
        self.source = source
        self.items: SimpleQueue[T | _End] = SimpleQueue()
        self.free = threading.Semaphore(limit)
        self.closed = threading.Event()
        self.idle = threading.Event()  # it is done, or waits for an external item
        self.done = False
        self.error: BaseException | None = None  # of closing the source

    def run(self) -> None:
        """Make items until the source ends or the reader has gone."""
        try:
            while self.free.acquire() and not self.closed.is_set():
                self.items.put(next(self.source))
        except _Closed:
            pass
        except BaseException as error:
            self.items.put(_End(error))
        try:
            self.source.close()
        except BaseException as error:
            self.error = error
        self.done = True
        self.idle.set()

    def stop(self) -> None:
        """Stop the thread at its next item; raise what closing the source raised."""
        self.closed.set()
        self.free.release()
        self.idle.wait()
        if self.done:
            self.join()
        if self.error is not None:
            raise self.error

    def ask(self, items: Iterator[Any]) -> Any:
        """The next external item.

        `closed` is looked at after `idle` was taken back: `stop` sets it before it waits, so that a reader
        who did not wait is always seen.
        """
        if self.closed.is_set():
            raise _Closed
        self.idle.set()
        try:
            return next(items)
        finally:
            self.idle.clear()
            if self.closed.is_set():
                raise _Closed


class _External(Iterator[T]):
    def __init__(self, items: Iterator[T]) -> None:
        self.items = items

    def __next__(self) -> T:
        thread = threading.current_thread()
        item: T = thread.ask(self.items) if isinstance(thread, _Producer) else next(self.items)
        return item
