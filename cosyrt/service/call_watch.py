"""An end for calls that a database never answers: after a time its connections are closed under them.

PostgreSQL ends each statement itself after a few seconds. One that has not answered by then is stopped, or
behind a network that swallows everything, and a call would wait for ever: nothing in the driver limits it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

LOOK_S = 1.0


class CallWatch:
    """Notes calls that are under way; when one takes too long, `abort` is called, in a thread."""

    def __init__(self, longest_s: float, abort: Callable[[], None]) -> None:
        self._longest_s, self._abort = longest_s, abort
        self._began: dict[int, float] = {}  # by thread
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cosyrt-store-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Watch over a call of this thread for as long as the block runs."""
        thread = threading.get_ident()
        self._began[thread] = time.monotonic()
        try:
            yield
        finally:
            self._began.pop(thread, None)

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            oldest = min(list(self._began.values()), default=float("inf"))
            if time.monotonic() - oldest > self._longest_s:
                self._abort()


def hang_up(connection: Any) -> None:
    """Close the socket under a connection of psycopg, so that whoever waits for its answer gets an error."""
    with (
        suppress(OSError, connection.Error),  # it is closed already
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)
