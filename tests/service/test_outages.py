"""The service while its database fails: speech goes on, new work is told clearly, nothing kept is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service import engines
from cosyrt.service.accounts import Accounts
from cosyrt.service.keys import new_key
from cosyrt.service.schema import RequestRow
from tests.service.forms import post, recording
from tests.service.postgres import PostgresServer
from tests.service.served import Answer, Served, serving, wait_until
from tests.service.test_voice_routes import VOICES, ask, consent

LONG = "One sentence comes after another. " * 3


def speak(served: Served, key: str, text: str = "Hi.") -> Answer:
    return ask(served, key, "POST", "/v1/audio/speech", {"input": text, "response_format": "pcm"})


def add_key(served: Served) -> str:
    assert isinstance(served.service.accounts, Accounts)
    return served.service.accounts.add_key("ann")[1]


def count_requests(served: Served) -> int:
    query = select(func.count()).select_from(RequestRow)
    return served.service.store.read(lambda session: session.scalar(query)) or 0


def test_a_stream_outlives_the_database(tiny: Pipeline, postgres: PostgresServer) -> None:
    """PostgreSQL is killed while audio comes: the stream is whole; new work gets 503 until it is back."""
    with serving(tiny, database=postgres.url()) as served:
        key = add_key(served)
        whole = speak(served, key, LONG).body
        body = {"input": LONG, "response_format": "pcm"}
        with served.open("POST", "/v1/audio/speech", body, authorization=f"Bearer {key}") as response:
            first = response.read(1_000)
            postgres.kill()
            try:
                assert first + response.read() == whole
                assert speak(served, key).status == 200  # the key worked a moment ago
                stranger = speak(served, new_key().text)
                assert (stranger.status, stranger.error["code"]) == (503, "database_unavailable")
                assert stranger.headers["retry-after"] == "1"
                assert served.ask("GET", "/health").status == served.ask("GET", "/ready").status == 200
                refused = post(served, VOICES, key=key, name="x", audio_sample=recording(), consent="cons_1")
                assert refused.status == 503
            finally:
                postgres.start()
        assert speak(served, key).status == 200
        assert speak(served, new_key().text).status == 401
        wait_until(lambda: count_requests(served) == 4)  # those of the outage were written after it


def test_a_locked_file_delays_nobody_who_reads(
    tiny: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds the lock speech goes on and lists are read; writers are told to wait."""
    monkeypatch.setattr(engines, "BUSY_S", 0.2)
    path = tmp_path / "service.db"
    with serving(tiny, database=str(path)) as served:
        key = add_key(served)
        agreed = consent(served, key)
        holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN EXCLUSIVE")
        assert speak(served, key).status == 200
        assert ask(served, key, "GET", VOICES).status == 200
        given = {"name": "x", "audio_sample": recording(), "consent": agreed}
        busy = post(served, VOICES, key=key, **given)
        assert (busy.status, busy.error["code"]) == (503, "database_busy")
        holder.execute("ROLLBACK")
        holder.close()
        assert post(served, VOICES, key=key, **given).status == 200


@contextmanager
def full_disk(served: Served) -> Iterator[None]:
    """Let SQLite's file not grow any more; each connection of the pool is told so when it is taken."""

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # no less than there are

    def unlimit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1000000")

    event.listen(served.service.store.engine, "checkout", limit)
    try:
        yield
    finally:
        event.remove(served.service.store.engine, "checkout", limit)
        event.listen(served.service.store.engine, "checkout", unlimit)


def test_a_full_disk_stops_nothing_but_writing(tiny: Pipeline, tmp_path: Path) -> None:
    """When the database cannot grow a new voice is refused with 507, speech and reading go on."""
    with serving(tiny, database=str(tmp_path / "service.db")) as served:
        key = add_key(served)
        agreed = consent(served, key)
        with full_disk(served):
            given = {"name": "x", "audio_sample": recording(seconds=20), "consent": agreed}
            full = post(served, VOICES, key=key, **given)
            assert (full.status, full.error["code"]) == (507, "storage_full")
            assert speak(served, key).status == 200
            assert ask(served, key, "GET", VOICES).status == 200
        assert post(served, VOICES, key=key, **given).status == 200
