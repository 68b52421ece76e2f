"""How long records are kept: requests for weeks, the audit for more than a year, unless told otherwise."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cosyrt.service.schema import AuditRow, RequestRow
from cosyrt.service.store import Store

DAY_S = 86_400
AT_ONCE = 1_000  # rows of one transaction: nobody waits long for it

Table = type[RequestRow] | type[AuditRow]


def delete_old(store: Store, table: Table, days: int) -> int:
    """Delete the rows of a table that are older than so many days, 0: none; their number is returned."""
    before, deleted = store.now() - days * DAY_S, 0
    while days:
        count = store.write(lambda session: _delete(session, table, before))
        deleted += count
        if count < AT_ONCE:
            break
    return deleted


def _delete(session: Session, table: Table, before: int) -> int:
    old = session.scalars(select(table.id).where(table.at < before).limit(AT_ONCE)).all()
    session.execute(delete(table).where(table.id.in_(old)))
    return len(old)
