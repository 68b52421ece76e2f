"""Work on a store, in this process or, by `python -m tests.service.writers URL [PREFIX]`, in another one."""

from __future__ import annotations

import sys
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from cosyrt.service.schema import LOCAL_ACCOUNT, AccountRow, Topic, VersionRow
from cosyrt.service.store import Store

NAMES = select(AccountRow.name).where(AccountRow.id != LOCAL_ACCOUNT).order_by(AccountRow.name)


def add_account(session: Session, name: str) -> None:
    session.add(AccountRow(id=f"acct_{name}"[:40], name=name, created_at=1))


def names(store: Store) -> list[str]:
    """The names of all accounts but the one that is always there."""
    return store.read(lambda session: list(session.scalars(NAMES)))


def increment(session: Session) -> None:
    """Read, then write: what fails at once in a transaction of SQLite that did not say it would write."""
    row = session.get_one(VersionRow, Topic.KEYS, with_for_update=True)
    row.number += 1


def add_named(store: Store, name: str) -> None:
    """Add one account in a transaction of its own."""
    store.write(lambda session: add_account(session, name))


if __name__ == "__main__":
    with Store(sys.argv[1]) as opened:
        if len(sys.argv) == 2:
            for _ in range(30):
                opened.write(increment)
        else:
            for number in count():
                add_named(opened, f"{sys.argv[2]}-{number}")
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()
