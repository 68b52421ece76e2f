"""Run a generator ahead of its reader, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class _End:
    """The last thing in the queue."""


def ahead(source: Generator[T, None, None], room: int) -> Generator[T, None, None]:
    """The items of `source`, made by a thread that stays at most `room` items in front.

    An error in the thread is raised here, where the reader is. Closing the generator stops the thread at its
    next item, closes `source` there and waits for it, so that nothing goes on behind the reader's back.
    """
    made: SimpleQueue[T | _End] = SimpleQueue()
    free = threading.Semaphore(room)
    closed = threading.Event()
    errors: list[BaseException] = []

    def make() -> None:
        try:
            with closing(source):
                while free.acquire() and not closed.is_set():
                    made.put(next(source))
        except StopIteration:
            pass
        except BaseException as error:
            errors.append(error)
        made.put(_End())

    thread = threading.Thread(target=make, name="cosyrt-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            free.release()
            yield item
    finally:
        closed.set()
        free.release()
        thread.join()
        if errors:
            raise errors[0]
