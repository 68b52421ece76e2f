"""Token buckets: so many of something a minute for each key, at a steady pace, after a rest all at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cosyrt.service.errors import TooManyRequests

MOST = 10_000  # keys; the one that was used longest ago is forgotten, which is to its advantage


def check_rate(per_minute: float, wait_s: float) -> None:
    """Refuse a request for which a bucket had no token.

    Raises:
        TooManyRequests: there will be one in `wait_s` seconds; 0: it was taken.
    """
    if wait_s:
        raise TooManyRequests(
            f"this key may begin {per_minute} requests a minute; come back in {wait_s:.1f} s",
            retry_after_s=wait_s,
        )


@dataclass(slots=True)
class _Bucket:
    """What was left at a time."""

    left: float
    at: float


class TokenBuckets:
    """A bucket for each key, in the memory of this process, on a clock that never jumps."""

    def __init__(
        self, per_minute: float, *, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute, self._most, self._clock = per_minute, most, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token; 0, or the seconds until there will be one and nothing was taken."""
        bucket = self._filled(key)
        if (wait_s := self._wait_s(bucket)) == 0:
            bucket.left -= 1
        return wait_s

    def wait_s(self, key: str) -> float:
        """The seconds until there will be a token; 0: there is one."""
        return self._wait_s(self._filled(key))

    def _wait_s(self, bucket: _Bucket) -> float:
        return max(0.0, (1 - bucket.left) * 60 / self.per_minute)

    def _filled(self, key: str) -> _Bucket:
        """The bucket of a key, with what has flowed into it since."""
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(self.per_minute, now))
        self._buckets.move_to_end(key)
        bucket.left = min(self.per_minute, bucket.left + (now - bucket.at) * self.per_minute / 60)
        bucket.at = now
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket
