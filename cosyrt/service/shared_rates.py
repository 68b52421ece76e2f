"""Rates that several processes share: a token bucket for each key in a row of PostgreSQL, on its clock.

One statement fills a bucket, takes from it, or finds it empty. While the database does not answer at once,
each process goes by its own buckets alone: speech never waits for this.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import text
from sqlalchemy.orm import Session

from cosyrt.service.engines import is_sqlite
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.store import Store
from cosyrt.service.token_buckets import check_rate

log = logging.getLogger(__name__)

LONGEST_S = 0.25
STALE_S = 3_600.0  # a bucket that nobody used for so long is full

_NOW = "extract(epoch FROM clock_timestamp())"
_FILLED = f"least(:most, rate_buckets.tokens + ({_NOW} - rate_buckets.at) * :most / 60)"
_TAKE = text(
    f"INSERT INTO rate_buckets (key, tokens, at) VALUES (:key, :most - 1, {_NOW}) "
    f"ON CONFLICT (key) DO UPDATE SET tokens = {_FILLED} - 1, at = {_NOW} WHERE {_FILLED} >= 1 "
    "RETURNING tokens"
)
_LEFT = text(f"SELECT {_FILLED} FROM rate_buckets WHERE key = :key")
_STALE = text(f"DELETE FROM rate_buckets WHERE at < {_NOW} - :stale")


class SharedRates:
    """So many requests a minute for each key, over all processes at one PostgreSQL; on SQLite unused."""

    def __init__(self, store: Store, per_minute: int) -> None:
        self._store, self.per_minute = store, per_minute
        self.is_used = bool(per_minute) and not is_sqlite(store.engine)

    async def take(self, key: str) -> None:
        """Take one request out of the bucket of a key.

        Raises:
            TooManyRequests: it is empty.
        """
        if not self.is_used:
            return
        try:
            async with asyncio.timeout(LONGEST_S):
                wait_s = await self._store.change(self.wait_s, key)
        except (StoreUnavailable, TimeoutError):
            log.warning("the database does not answer at once: each process limits its own requests alone")
            return
        check_rate(self.per_minute, wait_s)

    def wait_s(self, key: str) -> float:
        """Take one token; 0, or the seconds until there will be one and nothing was taken."""

        def work(session: Session) -> float:
            values = {"key": key, "most": self.per_minute}
            if session.execute(_TAKE, values).first() is not None:
                return 0.0
            left = session.execute(_LEFT, values).scalar_one()
            return max(0.001, (1 - float(left)) * 60 / self.per_minute)

        return self._store.write(work)

    def forget_stale(self) -> None:
        """Delete the buckets that have long been full."""
        if self.is_used:
            self._store.write(lambda session: session.execute(_STALE, {"stale": STALE_S}))
