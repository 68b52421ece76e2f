"""Run an iterator ahead of its reader, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")


class _End:
    """The last thing in the queue: the iterator is through, or failed."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(source: Iterator[T], room: int) -> Generator[T, None, None]:
    """The items of `source`, made by a thread that stays at most `room` items in front.

    An error in the thread is raised here, where the reader is. Closing the generator stops the thread at its next
    item, closes `source` there and waits for it, so that nothing goes on behind the reader's back.
    """
    made: queue.Queue[T | _End] = queue.Queue(room)
    closed = threading.Event()

    def make() -> None:
        end = _End()
        try:
            for item in source:
                if not _put(made, item, closed):
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
            _put(made, end, closed)

    thread = threading.Thread(target=make, name="cosyrt-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        _drain(made)
        thread.join()


def _put(made: queue.Queue[T | _End], item: T | _End, closed: threading.Event) -> bool:
    """Whether the item found room before the reader went away."""
    if closed.is_set():
        return False
    made.put(item)
    return not closed.is_set()


def _drain(made: queue.Queue[T | _End]) -> None:
    """Make room for a thread that is waiting for some: with the reader gone it puts one item more at most."""
    while True:
        try:
            made.get_nowait()
        except queue.Empty:
            return
