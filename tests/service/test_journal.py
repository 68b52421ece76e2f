"""The journal: rows are written behind the back of speech, outlast an outage, and are counted if dropped."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import select

from cosyrt.service import journal as module
from cosyrt.service.accounts import Accounts
from cosyrt.service.audit import audit_row
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.journal import Journal
from cosyrt.service.schema import AuditRow, RequestRow
from cosyrt.service.store import Store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows gather for a moment only."""
    monkeypatch.setattr(module, "GATHER_S", 0.01)


def request_row(number: int, **changes: object) -> RequestRow:
    values: dict[str, object] = {
        "id": f"{number:032x}",
        "at": number,
        "account_id": "local",
        "key_id": "",
        "route": "/v1/audio/speech",
        "model": "m",
        "voice": "tom",
        "format": "mp3",
        "characters": 5,
        "status": 200,
        "audio_ms": 900,
        "total_ms": 300,
    }
    return RequestRow(**(values | changes))


def written(store: Store) -> list[int]:
    query = select(RequestRow.at).order_by(RequestRow.at)
    return store.read(lambda session: list(session.scalars(query)))


def test_rows_of_every_kind_are_written(store: Store) -> None:
    """More rows than one transaction takes are all there when the journal is closed, and none twice."""
    with Journal(store) as journal:
        for number in range(module.AT_ONCE + 50):
            journal.write(request_row(number))
        journal.write(audit_row(LOCAL_CALLER, 7, "speech.label", "id1", voice="tom"))
    assert written(store) == list(range(module.AT_ONCE + 50))
    assert store.read(lambda session: session.scalars(select(AuditRow.subject)).all()) == ["id1"]
    assert journal.dropped == journal.waiting == 0


def test_the_last_use_of_a_key_is_noted(store: Store) -> None:
    """A request with a key leaves its time with the key."""
    accounts = Accounts(store)
    facts, _ = accounts.add_key("laptop")
    with Journal(store) as journal:
        for number in (5, 9):
            journal.write(request_row(number, key_id=facts.id))
    assert accounts.list_keys()[0].last_used_at == 9


class Gate:
    """A store that answers nobody until it is opened."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.refused, self.open = threading.Event(), threading.Event()
        self._write = store.write
        patch.setattr(store, "write", self.write)

    def write(self, work: object) -> object:
        if not self.open.is_set():
            self.refused.set()
            raise StoreUnavailable("gone")
        return self._write(work)  # type: ignore[arg-type]


def test_an_outage_delays_rows_and_loses_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is gone writing returns at once; when it is back the rows are there."""
    gate = Gate(store, monkeypatch)
    with Journal(store) as journal:
        for number in range(20):
            journal.write(request_row(number))
        assert gate.refused.wait(60)
        gate.open.set()
    assert written(store) == list(range(20)) and journal.dropped == 0


def test_what_does_not_fit_is_dropped_and_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue keeps what it has; the service goes on and says how many rows it lost."""
    gate = Gate(store, monkeypatch)
    with Journal(store, most=10) as journal:
        journal.write(request_row(0))
        assert gate.refused.wait(60)
        for number in range(1, 31):
            journal.write(request_row(number))
        assert journal.dropped >= 20 and journal.waiting <= 10
        gate.open.set()
    assert len(written(store)) + journal.dropped == 31


def test_closing_does_not_wait_for_a_database_that_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end the journal tries for a few seconds, then counts what it could not write."""
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    Gate(store, monkeypatch)
    with Journal(store) as journal:
        journal.write(request_row(0))
    assert journal.dropped == 1


def test_a_row_that_cannot_be_kept_takes_no_other_along(store: Store) -> None:
    """One row that the database refuses is dropped; those written with it are kept."""
    store.write(lambda session: session.add(request_row(1)))  # as after a commit whose answer was lost
    with Journal(store) as journal:
        for number in (0, 1, 2):
            journal.write(request_row(number))
        journal.write(request_row(3, voice="half a character: \ud800"))
    assert written(store) == [0, 1, 2]
    assert journal.dropped == 2


def test_the_loop_is_never_held_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing from a coroutine does not touch the database: it works while all of its calls hang."""
    held = threading.Event()

    def hang(work: object) -> None:
        held.wait(60)

    monkeypatch.setattr(store, "write", hang)

    async def main(journal: Journal) -> None:
        for number in range(100):
            journal.write(request_row(number))

    with Journal(store) as journal:
        asyncio.run(main(journal))
        held.set()
