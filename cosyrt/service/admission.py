"""Who may begin a request now: so many at once and so many a minute for each key, none when the service ends.

How many requests the machine can serve is the scheduler's to say; this is about fairness between callers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cosyrt.errors import Busy
from cosyrt.service.errors import TooManyRequests
from cosyrt.service.token_buckets import TokenBuckets, check_rate

STOPPING_S = 10.0  # before a client of a service that ends may find another one
AGAIN_S = 1.0  # before a caller with too many streams asks again: nobody knows when one ends
APART_S = 0.1  # refusals of one caller, for no longer than AGAIN_S


class Admission:
    """Counts what each caller is doing."""

    def __init__(self, *, streams: int, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.streams, self.per_minute = streams, per_minute
        self._buckets, self._clock = TokenBuckets(per_minute, clock=clock), clock
        self._refused_s: dict[str, float] = {}  # when the next refusal of a caller may be answered
        self.draining = False
        self._running: Counter[str] = Counter()

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

    def held_s(self, caller: str) -> float:
        """Seconds that a refusal is held back, which is asked for once; the first one is not.

        Refusals of one caller are parted in time: one that asks on and on would take the processor away from
        what the others listen to.
        """
        now_s = self._clock()
        due_s = max(now_s, self._refused_s.get(caller, 0.0))
        self._refused_s[caller] = min(due_s + APART_S, now_s + AGAIN_S)
        return due_s - now_s

    def _check_streams(self, caller: str) -> None:
        if self.streams and self._running[caller] >= self.streams:
            raise TooManyRequests(
                f"this key has {self._running[caller]} requests running, as many as it may; wait for one",
                code="too_many_streams",
                retry_after_s=AGAIN_S,
            )

    def _take(self, caller: str) -> None:
        """Take one request out of the caller's bucket, which fills up again at a steady pace."""
        if self.per_minute:
            check_rate(self.per_minute, self._buckets.take(caller))
