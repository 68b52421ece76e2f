"""Old records are deleted, young ones stay, and 0 days stand for ever."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from cosyrt.service import retention
from cosyrt.service.audit import audit_row
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.retention import DAY_S, delete_old
from cosyrt.service.schema import AuditRow, RequestRow
from cosyrt.service.store import Store
from tests.service.conftest import Clock
from tests.service.test_journal import request_row, written


def test_rows_live_for_their_days(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is deleted the second after its last day, however many transactions that takes."""
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    ages = [0, 9 * DAY_S, 10 * DAY_S, *(10 * DAY_S + 1 + extra for extra in range(7))]
    store.write(
        lambda session: session.add_all(
            request_row(number, at=clock.now - age) for number, age in enumerate(ages)
        )
    )
    store.write(lambda session: session.add(audit_row(LOCAL_CALLER, 1, "key.add", "x")))
    assert delete_old(store, RequestRow, 0) == 0
    assert delete_old(store, RequestRow, 10) == 7
    assert sorted(clock.now - at for at in written(store)) == ages[:3]
    assert store.read(lambda session: session.scalars(select(AuditRow.at)).all()) == [1]
    assert delete_old(store, AuditRow, 10) == 1
