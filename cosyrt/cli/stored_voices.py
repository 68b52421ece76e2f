"""Voices in the service's database, for `cosyrt voices … --account NAME`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.store import open_store

if TYPE_CHECKING:
    from cosyrt.service.callers import Caller
    from cosyrt.service.store import Store
    from cosyrt.service.voice_rows import VoiceFacts
    from cosyrt.service.voices import StoredVoices
    from cosyrt.voice.voice import Voice

UNKNOWN_LANGUAGE = "und"  # of BCP 47

account_option = click.option(
    "--account",
    metavar="NAME",
    help="An account of the service, not this user's files.",
)


@dataclass(frozen=True, slots=True)
class AccountVoices:
    """The voices of one account, in an open store."""

    store: Store
    voices: StoredVoices
    caller: Caller

    def listed(self) -> list[VoiceFacts]:
        """What the account may speak with, its own first."""
        return asyncio.run(self.voices.listed(self.caller))

    def own(self, name: str) -> VoiceFacts | None:
        """The account's own voice of that name or id."""
        own = (each for each in self.listed() if each.account_id == self.caller.account_id)
        return next((each for each in own if name in (each.name, each.id)), None)


@contextmanager
def account_voices(account: str, database: str | None) -> Iterator[AccountVoices]:
    """The voices of an account, whatever model they are of.

    Raises:
        NotFound: there is no such account.
    """
    with open_store(database) as store:
        from cosyrt.service.accounts import Accounts
        from cosyrt.service.voices import StoredVoices

        yield AccountVoices(store, StoredVoices(store, None), Accounts(store).caller_named(account))


def rows_of_account(account: str, database: str | None) -> list[dict[str, Any]]:
    """The rows of a list of what an account may speak with."""
    with account_voices(account, database) as opened:
        return [_row(opened, facts) for facts in opened.listed()]


def add_to_account(voice: Voice, account: str, database: str | None, *, overwrite: bool) -> None:
    """Keep a voice for an account, with the consent that was written down in it.

    Raises:
        Conflict: the account has a voice of that name, and it is not to be overwritten.
    """
    with account_voices(account, database) as opened:
        from cosyrt.service.consents import Consents, NewConsent

        old = opened.own(voice.name)
        if old is not None and overwrite:
            opened.voices.remove(opened.caller, old.id)
        opened.voices.check_free(opened.caller, voice.name)
        consent_id = None
        if words := voice.origin.consent:
            language = voice.language or UNKNOWN_LANGUAGE
            given = NewConsent(name=voice.name, language=language, statement=words)
            consent_id = Consents(opened.store).add(opened.caller, given).id
        opened.voices.add(opened.caller, voice, consent_id=consent_id)


def remove_from_account(names: Iterable[str], account: str, database: str | None) -> None:
    """Delete voices of an account, by name or id: all of them, or none where one is not there.

    Raises:
        NotFound: the account has no such voice.
    """
    with account_voices(account, database) as opened:
        from cosyrt.service.errors import NotFound

        found = {name: opened.own(name) for name in dict.fromkeys(names)}
        if missing := [name for name, facts in found.items() if facts is None]:
            raise NotFound(
                f"the account {account!r} has no voice {missing[0][:80]!r}; "
                f"list them: cosyrt voices list --account {account}"
            )
        for facts in filter(None, found.values()):
            opened.voices.remove(opened.caller, facts.id)


def _row(opened: AccountVoices, facts: VoiceFacts) -> dict[str, Any]:
    """One row, under the names of the columns of `cosyrt voices list`."""
    voice = asyncio.run(opened.voices.find(opened.caller, facts.id))
    return {
        "name": facts.name,
        "language": facts.language,
        "source": "own" if facts.account_id == opened.caller.account_id else "shared",
        "family": facts.family,
        "prompt_s": None if voice is None else round(voice.prompt_s, 2),
    }
