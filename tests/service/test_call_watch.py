"""Calls that would wait for ever get an error: a stopped PostgreSQL, and a plain function that hangs."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from cosyrt.service import call_watch
from cosyrt.service import store as module
from cosyrt.service.call_watch import CallWatch
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.schema import Topic
from cosyrt.service.store import Store
from tests.service.postgres import PostgresServer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are looked at often."""
    monkeypatch.setattr(call_watch, "LOOK_S", 0.02)


def test_a_call_that_takes_too_long_is_aborted() -> None:
    """While one hangs abort is called; short calls, and none at all, are left in peace."""
    aborted, release = threading.Event(), threading.Event()
    watch = CallWatch(0.1, aborted.set)
    for _ in range(20):
        with watch.call():
            pass
    assert not aborted.wait(0.3)

    def hang() -> None:
        with watch.call():
            release.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    assert aborted.wait(60)
    release.set()
    thread.join()
    watch.close()


def test_a_database_that_stops_keeps_nobody_waiting(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped, not killed, ends a call with 503; before a call it is not even felt."""
    monkeypatch.setattr(module, "LONGEST_S", 0.3)
    stopped: list[int] = []

    def stop(session: Session) -> None:
        stopped.append(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
        os.kill(stopped[-1], signal.SIGSTOP)

    def stop_midway(session: Session) -> None:
        stop(session)
        session.execute(text("SELECT 1"))

    with Store(postgres.url()) as store:
        try:
            with pytest.raises(StoreUnavailable):
                store.read(stop_midway)
            with pytest.raises(StoreUnavailable):
                store.read(stop)  # it cannot be ended
            assert store.version(Topic.KEYS) == 0  # over a new connection
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
