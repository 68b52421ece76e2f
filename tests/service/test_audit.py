"""The audit: what was done is written with the deed, or neither is."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import Caller
from cosyrt.service.schema import AuditRow
from cosyrt.service.store import Store

BY = Caller(account_id="acct_1", key_id="key1", scopes=frozenset())


def test_a_row_says_who_did_what_when(store: Store) -> None:
    """Account, key, time, deed and its details are read back as they were given."""
    store.write(lambda session: audit(session, BY, 7, "voice.add", "voice_1", name="林", digest="d"))
    row = store.read(lambda session: session.scalars(select(AuditRow)).one())
    assert (row.at, row.account_id, row.key_id, row.action, row.subject) == (
        7,
        "acct_1",
        "key1",
        "voice.add",
        "voice_1",
    )
    assert json.loads(row.detail) == {"name": "林", "digest": "d"}


def test_a_deed_that_fails_is_not_written_down(store: Store) -> None:
    """The row belongs to the transaction."""

    def work(session: Session) -> None:
        audit(session, BY, 7, "voice.add", "voice_1")
        raise LookupError

    with pytest.raises(LookupError):
        store.write(work)
    assert store.read(lambda session: session.scalar(select(func.count()).select_from(AuditRow))) == 0
