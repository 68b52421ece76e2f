"""Databases that fail, for real: a full disk, a lock that is held, a server that was killed."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cosyrt.service import engines
from cosyrt.service.accounts import Accounts
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.errors import BadRequest, NotFound, ServiceError, StoreFull, StoreUnavailable
from cosyrt.service.schema import Topic
from cosyrt.service.store import Store, mark_changed
from cosyrt.service.voices import StoredVoices
from tests.service.postgres import PostgresServer
from tests.service.writers import add_account, names


def change(store: Store) -> None:
    store.write(lambda session: mark_changed(session, Topic.KEYS))


def test_a_writer_waits_for_another_and_then_says_that_the_database_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds SQLite's lock nobody can write, and everybody can read."""
    monkeypatch.setattr(engines, "BUSY_S", 0.1)
    with Store(str(tmp_path / "service.db")) as store:
        other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="busy") as refused:
            change(store)
        assert (refused.value.status, refused.value.code) == (503, "database_busy")
        assert names(store) == []
        other.execute("ROLLBACK")
        other.close()
        change(store)
        assert store.version(Topic.KEYS) == 1


def test_a_lock_that_postgres_holds_too_long_is_busy(postgres: PostgresServer) -> None:
    """A row that another transaction holds makes a writer wait for the limit, and no longer."""
    address = postgres.url()
    with Store(address) as store, psycopg.connect(address) as other:
        other.execute("UPDATE versions SET number = 7")
        with pytest.raises(StoreUnavailable, match="busy"):
            store.write(
                lambda session: (
                    session.execute(text("SET LOCAL lock_timeout = '50ms'")),
                    mark_changed(session, Topic.KEYS),
                )
            )
        other.rollback()
        change(store)


def test_a_full_disk_stops_writing_and_nothing_else(tmp_path: Path) -> None:
    """What no longer fits is refused with 507, what is there is read, and room lets it go on."""
    with Store(str(tmp_path / "service.db")) as store:
        limit_pages(store, 60)
        with pytest.raises(StoreFull) as refused:
            fill(store)
        assert (refused.value.status, refused.value.code) == (507, "storage_full")
        assert names(store) == []
        limit_pages(store, 1_000_000)
        fill(store)
        assert len(names(store)) == 500


def limit_pages(store: Store, most: int) -> None:
    """Limit the pages of the file; the one connection of a test that calls nothing at once has the limit."""
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA max_page_count={most}").scalar()


def fill(store: Store) -> None:
    store.write(lambda session: [add_account(session, f"{number:04d}{'x' * 50}") for number in range(500)])


def test_a_server_that_was_killed_is_unavailable_and_comes_back(postgres: PostgresServer) -> None:
    """While PostgreSQL is down a call fails with 503 at once; after its restart the next one succeeds."""
    with Store(postgres.url()) as store:
        change(store)
        postgres.kill()
        try:
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="does not answer") as refused:
                    store.version(Topic.KEYS)
                assert refused.value.retry_after_s == 1.0
        finally:
            postgres.start()
        assert store.version(Topic.KEYS) == 1


def test_connections_that_the_server_ended_are_replaced(postgres: PostgresServer) -> None:
    """A pooled connection that the server has closed does not fail a call."""
    with Store(postgres.url()) as store:
        change(store)
        with postgres.admin() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'"
            )
        assert store.version(Topic.KEYS) == 1


def test_a_violated_constraint_is_no_failure_of_the_database(store: Store) -> None:
    """A name that is there twice is for the caller to explain."""
    store.write(lambda session: add_account(session, "ann"))
    with pytest.raises(IntegrityError):
        store.write(lambda session: add_account(session, "ann"))
    assert not issubclass(IntegrityError, ServiceError)


def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    """A file that is no database is refused with one line, and stays as it is."""
    (tmp_path / "service.db").write_bytes(b"not a database at all" * 1_000)
    before = (tmp_path / "service.db").read_bytes()
    with pytest.raises(StoreUnavailable):
        Store(str(tmp_path / "service.db"))
    assert (tmp_path / "service.db").read_bytes() == before


def test_texts_that_no_database_can_hold_are_refused(store: Store) -> None:
    """A key or voice asked for by such a text is a bad request or not there, never a failure."""
    calls = Accounts(store).revoke_key, partial(StoredVoices(store, "v").remove, LOCAL_CALLER)
    for name in ("a\0b", "\ud800", "x" * 10_000, "' OR 1=1 --"):
        for call in calls:
            with pytest.raises((BadRequest, NotFound)):
                call(name)
