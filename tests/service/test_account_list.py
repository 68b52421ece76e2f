"""The end of an account: all that it owned is gone, and the service stays closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from cosyrt.service.account_list import list_accounts, remove_account
from cosyrt.service.accounts import Accounts
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.consents import Consents, NewConsent
from cosyrt.service.errors import BadRequest, NotAuthenticated, NotFound
from cosyrt.service.schema import (
    AuditRow,
    Base,
    ConsentRecordingRow,
    CurrentVoiceRow,
    KeyRow,
    RequestRow,
    VoiceDataRow,
    VoiceRow,
)
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from tests.voice.test_voice import voice


def furnished(store: Store, caller: Caller) -> None:
    """Give an account one of everything."""
    consent = Consents(store).add(caller, NewConsent(name="a", language="en", recording=b"telling words"))
    voices = StoredVoices(store, None)
    made = voices.add(caller, voice(name="mine"), consent_id=consent.id)
    voices.choose(caller, made.id, ())
    row = RequestRow(
        id="r1", at=1, account_id=caller.account_id, key_id="", route="http", model="", voice="", format="",
        characters=1, text="telling", status=200, error=None, first_audio_ms=1, audio_ms=1, total_ms=1,
    )  # fmt: skip
    store.write(lambda session: session.add(row))


def rows(store: Store, table: type[Base]) -> int:
    counted: Any = store.read(lambda session: session.scalar(select(func.count()).select_from(table)))
    return int(counted)


def test_nothing_is_left_of_an_account(store: Store, ann: Caller, bob: Caller) -> None:
    """Keys, voices, consents, the current voice and requests go; others' stay, and so does the audit."""
    furnished(store, ann)
    audited = rows(store, AuditRow)
    removed = remove_account(store, "ann")

    assert (removed.name, removed.keys, removed.voices, removed.consents) == ("ann", 1, 1, 1)
    assert [each.name for each in list_accounts(store)] == ["local", "bob"]
    tables = VoiceRow, VoiceDataRow, ConsentRecordingRow, CurrentVoiceRow, RequestRow
    assert [rows(store, table) for table in tables] == [0] * 5
    assert rows(store, KeyRow) == 1
    assert rows(store, AuditRow) == audited + 2  # the end of its voice, and of itself


def test_a_service_stays_closed_when_its_last_account_is_gone(store: Store) -> None:
    """With no key left nobody gets in without one: a service that had keys never opens by itself."""
    accounts = Accounts(store)
    _, key = accounts.add_key("ann")
    remove_account(store, "ann")
    for given in (None, key):
        with pytest.raises(NotAuthenticated):
            asyncio.run(Accounts(store).authenticate(given))


def test_a_shared_voice_goes_with_its_owner(store: Store, ann: Caller, bob: Caller) -> None:
    """Who had chosen a voice of the account has no choice any more."""
    admin = Caller(account_id=ann.account_id, scopes=frozenset(["admin"]))  # type: ignore[arg-type]
    voices = StoredVoices(store, None)
    shared = voices.add(admin, voice(name="ours"), shared=True)
    voices.choose(bob, shared.id, ())
    remove_account(store, "ann")
    voices.forget()
    assert asyncio.run(voices.current(bob)) is None
    assert voices.forget_gone() == []
    assert asyncio.run(voices.listed(bob)) == []


@pytest.mark.parametrize(
    ("name", "error"), [("nobody", NotFound), ("local", BadRequest), ("ann", BadRequest)]
)
def test_some_accounts_cannot_be_removed(
    store: Store, ann: Caller, name: str, error: type[Exception]
) -> None:
    """Neither one that is not there, nor this machine's, nor the one that asks."""
    with pytest.raises(error):
        remove_account(store, name, by=ann)
    assert {each.name for each in list_accounts(store)} == {"local", "ann"}


def test_accounts_are_counted(store: Store, ann: Caller) -> None:
    """A list tells how much each account has, without what was revoked."""
    furnished(store, ann)
    Accounts(store).revoke_key(Accounts(store).list_keys()[0].id, by=LOCAL_CALLER)
    facts = {each.name: (each.keys, each.voices, each.consents) for each in list_accounts(store)}
    assert facts == {"local": (0, 0, 0), "ann": (0, 1, 1)}
