"""What was read from the database, kept for as long as nothing there has changed.

Every change of a topic raises its number in the same transaction. A process looks at the number at most once
a second, so that another's change is known within a second; its own changes it knows at once. While the
database does not answer, what was read stays in use for half a minute: a key that worked goes on working.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.schema import Topic
from cosyrt.service.store import Store

K = TypeVar("K")
V = TypeVar("V")

CHECK_S = 1.0
KEEP_S = 30.0
MOST = 10_000


class SharedCache(Generic[K, V]):
    """Values by key, read by `load` when they are first asked for; for any number of threads."""

    def __init__(
        self,
        store: Store,
        topic: Topic,
        load: Callable[[K], V],
        *,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._topic, self._load, self._most, self._clock = store, topic, load, most, clock
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        self._version: int | None = None
        self._asked = self._confirmed = float("-inf")  # when the number was last asked for, and known

    def fresh(self, key: K) -> V | None:
        """The value, if it is known to be right without a look at the database; for the event loop."""
        with self._lock:
            return self._values.get(key) if self._clock() - self._confirmed < CHECK_S else None

    def get(self, key: K) -> V:
        """The value, after a look at the database where one is due.

        Raises:
            StoreUnavailable: the database does not answer, and the value is not known or too old.
        """
        with self._lock:
            asks = self._clock() - self._asked >= CHECK_S
            if asks:
                self._asked = self._clock()  # others do not wait meanwhile
        if asks:
            self._confirm()
        with self._lock:
            if key in self._values and self._clock() - self._confirmed < KEEP_S:
                self._values.move_to_end(key)
                return self._values[key]
            version = self._version
        value = self._load(key)
        self._keep(key, value, version)
        return value

    def clear(self) -> None:
        """Forget all values, since this process has changed what they were read from."""
        with self._lock:
            self._values.clear()
            self._version = None  # what is being read meanwhile is not kept
            self._asked = self._confirmed = float("-inf")  # what is read next is, and so outlives an outage

    def _confirm(self) -> None:
        """Ask for the number; while the database does not answer, what is kept stays as it is."""
        begin = self._clock()
        try:
            version = self._store.version(self._topic)
        except StoreUnavailable:
            return
        with self._lock:
            self._confirmed = begin
            if version != self._version:
                self._values.clear()
                self._version = version

    def _keep(self, key: K, value: V, version: int | None) -> None:
        """Keep a value unless something has changed since its reading began."""
        with self._lock:
            if version is None or version != self._version:
                return
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
