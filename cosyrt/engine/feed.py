"""What a request is spoken from, for a scheduler that never waits for it.

A text that is there is read where it is needed. One that arrives, and a recording, whose speech tokens take a
while, are read by a thread of their own, a few items ahead: a slow writer stalls nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol

from cosyrt.engine.asynchronous import Arriving
from cosyrt.engine.token_stream import Item
from cosyrt.engine.utterance import Source

AHEAD = 4  # items that may wait


class Feed(Protocol):
    """A source as far as it has been opened, and its items."""

    @property
    def source(self) -> Source | None:
        """What was opened; None: it is not there yet."""

    @property
    def ready(self) -> bool:
        """Whether `take` has something to give: an item, the end, or an error."""

    def take(self) -> Item | None:
        """The next item; None after the last.

        Raises:
            Exception: what went wrong when the text was opened or read.
        """

    def close(self) -> None:
        """Read no more; nobody waits for an item that is being read."""


class OpenFeed(Feed):
    """A text that is there: its items are made when they are taken."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def source(self) -> Source:
        """What was opened."""
        return self._source

    @property
    def ready(self) -> bool:
        """Whether there is something to take: always."""
        return True

    def take(self) -> Item | None:
        """The next item; None after the last."""
        return next(self._source.items, None)

    def close(self) -> None:
        """Read no more."""
        _close(self._source)


class ThreadFeed(Feed):
    """A text that a thread opens and reads, a few items ahead."""

    def __init__(
        self,
        open_: Callable[[], Source],
        wake: Callable[[], None],
        arriving: Arriving[str | None] | None = None,
    ) -> None:
        self._open, self._wake, self._arriving = open_, wake, arriving
        self._source: Source | None = None
        self._items: deque[Item] = deque()
        self._free = threading.Semaphore(AHEAD)
        self._closed = self._done = False
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="cosyrt-text", daemon=True).start()

    @property
    def source(self) -> Source | None:
        """What was opened; None: it is not there yet."""
        return self._source

    @property
    def ready(self) -> bool:
        """Whether an item, the end, or an error is there."""
        return bool(self._items) or self._done

    def take(self) -> Item | None:
        """The next item; None after the last.

        Raises:
            Exception: what went wrong when the text was opened or read.
        """
        if self._items:
            self._free.release()
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """Read no more; the thread ends at the item that it waits for, which nobody else does."""
        self._closed = True
        self._free.release()
        if self._arriving is not None:
            self._arriving.cancel()

    def _run(self) -> None:
        try:
            self._source = self._open()
            self._wake()
            for item in self._source.items:
                self._items.append(item)
                self._wake()
                self._free.acquire()
                if self._closed:
                    break
            _close(self._source)
        except BaseException as error:
            self._error = error
        self._done = True
        self._wake()


def _close(source: Source) -> None:
    """Let a text that is written by a generator know that nobody reads on."""
    if isinstance(source.items, Generator):
        source.items.close()
