"""Rates over several processes: one bucket in PostgreSQL, and each process by itself while that is gone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from cosyrt.service.errors import StoreUnavailable, TooManyRequests
from cosyrt.service.shared_rates import SharedRates
from cosyrt.service.store import Store
from tests.service.postgres import PostgresServer


def test_processes_share_a_bucket(postgres: PostgresServer) -> None:
    """Two stores, as two processes have them, take at once: together no more than one may."""
    url = postgres.url()
    with Store(url) as one, Store(url) as other:
        both = [SharedRates(one, 20), SharedRates(other, 20)]
        with ThreadPoolExecutor(8) as threads:
            waits = list(threads.map(lambda number: both[number % 2].wait_s("key"), range(60)))
        taken = waits.count(0.0)
        assert 20 <= taken <= 22  # one flows in every three seconds
        assert all(0 < wait_s <= 3.0 for wait_s in waits if wait_s)
        assert both[0].wait_s("another key") == 0


def test_a_bucket_fills_up_again(postgres: PostgresServer) -> None:
    """After some time, told by the database's clock, there is as much as flowed in, never more than full."""
    with Store(postgres.url()) as store:
        rates = SharedRates(store, 60)
        assert [rates.wait_s("key") for _ in range(60)] == [0.0] * 60
        for seconds, most in ((5, 5), (3_600, 60)):
            store.write(lambda session: session.execute(text("UPDATE rate_buckets SET tokens = 0")))
            back = text(f"UPDATE rate_buckets SET at = at - {seconds}")
            store.write(lambda session, back=back: session.execute(back))  # type: ignore[misc]
            taken = [rates.wait_s("key") for _ in range(most + 5)].count(0.0)
            assert most <= taken <= most + 3


def test_an_empty_bucket_is_refused_with_a_time(postgres: PostgresServer) -> None:
    """The refusal says when to come back, and stale buckets are deleted."""
    with Store(postgres.url()) as store:
        rates = SharedRates(store, 1)

        async def twice() -> None:
            await rates.take("key")
            with pytest.raises(TooManyRequests) as refused:
                await rates.take("key")
            assert 50 < (refused.value.retry_after_s or 0) <= 60

        asyncio.run(twice())
        rates.forget_stale()
        count = text("SELECT count(*) FROM rate_buckets")
        assert store.read(lambda session: session.scalar(count)) == 1
        store.write(lambda session: session.execute(text("UPDATE rate_buckets SET at = 0")))
        rates.forget_stale()
        assert store.read(lambda session: session.scalar(count)) == 0


def test_speech_does_not_wait_for_a_database_that_is_gone(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database does not answer nothing is refused here: each process has its own limit."""

    def gone(_: object) -> None:
        raise StoreUnavailable("gone")

    with Store(postgres.url()) as store:
        rates = SharedRates(store, 1)
        monkeypatch.setattr(store, "write", gone)
        for _ in range(3):
            asyncio.run(rates.take("key"))


def test_sqlite_and_no_limit_ask_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process needs no shared bucket."""
    with Store(str(tmp_path / "service.db")) as store:
        monkeypatch.setattr(store, "write", None)
        rates = SharedRates(store, 1)
        for _ in range(3):
            asyncio.run(rates.take("key"))
        rates.forget_stale()
