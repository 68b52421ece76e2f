"""Who may begin a request now: so many at once and so many a minute for each key, none when the service ends.

How many requests the machine can serve is the scheduler's to say; this is about fairness between callers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cosyrt.errors import Busy
from cosyrt.service.errors import TooManyRequests

STOPPING_S = 10.0  # before a client of a service that ends may find another one
AGAIN_S = 1.0  # before a caller with too many streams asks again: nobody knows when one ends


@dataclass(slots=True)
class _Bucket:
    """What is left of the requests of a minute, and when that was true."""

    left: float
    at: float


class Admission:
    """Counts what each caller is doing."""

    def __init__(self, *, streams: int, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.streams, self.per_minute, self.clock = streams, per_minute, clock
        self.draining = False
        self._running: Counter[str] = Counter()
        self._buckets: dict[str, _Bucket] = {}

    @property
    def active(self) -> int:
        """Requests that have been admitted and are not over."""
        return self._running.total()

    def refuse_when_draining(self) -> None:
        """Take no new work when the service ends.

        Raises:
            Busy: it does.
        """
        if self.draining:
            raise Busy("the service is being stopped; come back in a moment", STOPPING_S)

    @contextmanager
    def admitted(self, caller: str, *, limited: bool = True) -> Iterator[None]:
        """Count one request of a caller for as long as it runs.

        Raises:
            Busy: the service ends. TooManyRequests: the caller has used up what it may ask for now.
        """
        self.refuse_when_draining()
        if limited:
            self._check_streams(caller)
            self._take(caller)
        self._running[caller] += 1
        try:
            yield
        finally:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]

    def _check_streams(self, caller: str) -> None:
        if self.streams and self._running[caller] >= self.streams:
            raise TooManyRequests(
                f"this key has {self._running[caller]} requests running, as many as it may; wait for one",
                code="too_many_streams",
                retry_after_s=AGAIN_S,
            )

    def _take(self, caller: str) -> None:
        """Take one request out of the caller's bucket, which fills up again at a steady pace."""
        if not self.per_minute:
            return
        now, a_second = self.clock(), self.per_minute / 60
        bucket = self._buckets.setdefault(caller, _Bucket(self.per_minute, now))
        bucket.left = min(self.per_minute, bucket.left + (now - bucket.at) * a_second)
        bucket.at = now
        if bucket.left < 1:
            wait_s = (1 - bucket.left) / a_second
            raise TooManyRequests(
                f"this key may begin {self.per_minute} requests a minute; come back in {wait_s:.1f} s",
                retry_after_s=wait_s,
            )
        bucket.left -= 1
