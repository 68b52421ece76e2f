"""Accounts as an operator sees them: who there is, and the end of one with all that it owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, true
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.errors import BadRequest, NotFound
from cosyrt.service.gone_voices import DELETED, end_voices
from cosyrt.service.schema import (
    LOCAL_ACCOUNT,
    AccountRow,
    ConsentRow,
    KeyRow,
    RequestRow,
    Topic,
    VoiceRow,
)
from cosyrt.service.store import Store, mark_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """All that is shown of an account."""

    id: str
    name: str
    created_at: int
    keys: int  # that were not revoked
    voices: int
    consents: int


def list_accounts(store: Store) -> list[AccountFacts]:
    """All accounts, oldest first."""
    query = select(AccountRow).order_by(AccountRow.created_at, AccountRow.name)
    return store.read(lambda session: _facts(session, session.scalars(query).all()))


def remove_account(store: Store, name: str, *, by: Caller = LOCAL_CALLER) -> AccountFacts:
    """Delete an account with its keys, voices, consents and requests; its part of the audit stays.

    Raises:
        NotFound: there is none of that name.
        BadRequest: it is that of this machine, or the one that asks for it.
    """

    def work(session: Session) -> AccountFacts:
        now = store.now()
        row = session.scalar(select(AccountRow).where(AccountRow.name == name).with_for_update())
        if row is None:
            raise NotFound(f"there is no account {name[:80]!r}; list them: cosyrt accounts list")
        _check_removable(row, by)
        [facts] = _facts(session, [row])
        voices = select(VoiceRow).where(VoiceRow.account_id == row.id, VoiceRow.gone_at.is_(None))
        end_voices(session, session.scalars(voices).all(), DELETED, by, now)
        session.flush()
        session.execute(delete(RequestRow).where(RequestRow.account_id == row.id))
        session.execute(delete(AccountRow).where(AccountRow.id == row.id))  # and all it owns
        mark_changed(session, Topic.KEYS)
        audit(session, by, now, "account.remove", row.id, name=name, keys=facts.keys, voices=facts.voices)
        return facts

    facts = store.write(work)
    store.erase_freed()
    return facts


def _check_removable(row: AccountRow, by: Caller) -> None:
    if row.id == LOCAL_ACCOUNT:
        raise BadRequest("the account 'local' is that of this machine and stays; revoke its keys instead")
    if row.id == by.account_id:
        raise BadRequest(
            "this is the account of the key that asks; use another admin's key, or cosyrt accounts remove"
        )


def _facts(session: Session, rows: Sequence[AccountRow]) -> list[AccountFacts]:
    keys = _counted(session, rows, KeyRow, KeyRow.revoked_at.is_(None))
    voices = _counted(session, rows, VoiceRow, VoiceRow.gone_at.is_(None))
    consents = _counted(session, rows, ConsentRow, ConsentRow.revoked_at.is_(None))
    return [
        AccountFacts(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            keys=keys.get(row.id, 0),
            voices=voices.get(row.id, 0),
            consents=consents.get(row.id, 0),
        )
        for row in rows
    ]


def _counted(
    session: Session,
    accounts: Sequence[AccountRow],
    table: type[KeyRow] | type[VoiceRow] | type[ConsentRow],
    valid: ColumnElement[bool],
) -> dict[str, int]:
    """How many valid rows of a table each account owns, by its id."""
    owner = table.account_id
    owned = owner.in_([account.id for account in accounts]) if len(accounts) == 1 else true()
    query = select(owner, func.count()).where(owned, valid).group_by(owner)
    rows = session.execute(query).all()
    return {row[0]: row[1] for row in rows}
