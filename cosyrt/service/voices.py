"""Stored voices: an account sees its own and the shared ones, and speaks with its current one by default.

Which voices an account has is kept in memory with its current voice, and so are the voices spoken with
lately; a change in any process is known to all within a second. A voice whose consent has ended is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from sqlalchemy import delete, func, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import Caller
from cosyrt.service.consents import valid_consent
from cosyrt.service.errors import BadRequest, Conflict, Gone, NotFound
from cosyrt.service.gone_voices import DELETED, end_voices
from cosyrt.service.names import check_voice_name
from cosyrt.service.schema import (
    AccountRow,
    CurrentVoiceRow,
    Topic,
    VoiceDataRow,
    VoiceRow,
)
from cosyrt.service.shared_cache import SharedCache
from cosyrt.service.store import Store, mark_changed
from cosyrt.service.voice_rows import (
    PREFIX,
    WITH_END,
    AccountVoices,
    VoiceFacts,
    facts_of,
    facts_of_voice,
    is_over,
    named,
    of_name,
    voice_row,
)
from cosyrt.voice.voice import Voice

MAX_VOICES = 100  # of one account
KEPT_VOICES = 64  # in memory: some 0.5 MB each
MAX_DESCRIPTION = 500  # characters


class StoredVoices:
    """The voices of a store that a model of one family can speak with; without a family all of them."""

    def __init__(self, store: Store, family: str | None, *, most: int = MAX_VOICES) -> None:
        self._store, self._family, self._most = store, family, most
        self._spoken: dict[str, str] = {}  # digests of the voices that were asked for, by their id
        self._accounts: SharedCache[str, AccountVoices] = SharedCache(store, Topic.VOICES, self._read_account)
        self._voices: SharedCache[str, Voice] = SharedCache(
            store, Topic.VOICES, self._read_voice, most=KEPT_VOICES
        )

    async def listed(self, caller: Caller) -> list[VoiceFacts]:
        """The voices that a caller may speak with, its own first.

        Raises:
            StoreUnavailable: the database does not answer, and did not tell of them lately.
        """
        found, now = await self._of_account(caller.account_id), self._store.now()
        return [facts for facts in found.voices if not is_over(facts, now)]

    async def find(self, caller: Caller, asked: str) -> Voice | None:
        """The voice of that name or id that a caller may speak with; None: there is none of that name.

        Raises:
            Gone: the voice of that id was deleted, or its consent has ended.
            StoreUnavailable: the database does not answer.
        """
        facts = await self._named(caller, asked)
        if facts is None:
            return None
        self._spoken[facts.id] = facts.digest
        known = self._voices.fresh(facts.id)
        return known if known is not None else await self._store.run(self._voices.get, facts.id)

    async def facts(self, caller: Caller, identifier: str) -> VoiceFacts:
        """What is shown of the voice of that id, to those who may speak with it.

        Raises:
            NotFound: there is none. Gone: it was deleted, or its consent has ended.
        """
        facts = await self._named(caller, identifier)
        if facts is None or facts.id != identifier:
            raise _unknown(identifier)
        return facts

    async def _named(self, caller: Caller, asked: str) -> VoiceFacts | None:
        """The voice of that name or id; one of an id unknown here may just have been made elsewhere."""
        now = self._store.now()
        facts = named(await self._of_account(caller.account_id), asked)
        if facts is None and asked.startswith(PREFIX):
            facts = named(await self._store.run(self._read_account, caller.account_id), asked)
        if facts is not None and not is_over(facts, now):
            return facts
        if asked.startswith(PREFIX):
            await self._store.run(self._explain, caller, asked)
        return None

    async def current(self, caller: Caller) -> str | None:
        """The id or name of the voice that an account speaks with where a request names none."""
        found, now = await self._of_account(caller.account_id), self._store.now()
        facts = next((each for each in found.voices if each.id == found.current), None)
        return None if facts is not None and is_over(facts, now) else found.current

    def choose(self, caller: Caller, asked: str | None, presets: Collection[str]) -> str | None:
        """Set the current voice of an account, to a stored voice or one of the model's; None: to no choice.

        Raises:
            NotFound: there is no such voice.
        """
        facts = None if asked is None else named(self._read_account(caller.account_id), asked)
        if asked is not None and facts is None and asked not in presets:
            raise _unknown(asked)
        now, chosen = self._store.now(), facts.id if facts is not None else asked

        def work(session: Session) -> None:
            session.get(AccountRow, caller.account_id, with_for_update=True)  # one choice after another
            session.execute(delete(CurrentVoiceRow).where(CurrentVoiceRow.account_id == caller.account_id))
            if chosen is not None:
                stored, preset = (chosen, None) if facts is not None else (None, chosen)
                session.add(
                    CurrentVoiceRow(
                        account_id=caller.account_id, voice_id=stored, preset=preset, changed_at=now
                    )
                )
            mark_changed(session, Topic.VOICES)

        try:
            self._store.write(work)
        except IntegrityError as error:  # the voice was deleted meanwhile
            raise _unknown(chosen or "") from error
        self.forget()
        return chosen

    def check_free(self, caller: Caller, name: str) -> str:
        """The composed name, before the seconds that making a voice takes.

        Raises:
            BadRequest: no voice can have it, or the account has as many voices as it may.
            Conflict: it has one of that name.
        """
        name = check_voice_name(name)
        self._store.read(lambda session: self._check_room(session, caller.account_id, name))
        return name

    def add(
        self,
        caller: Caller,
        voice: Voice,
        *,
        consent_id: str | None = None,
        description: str = "",
        shared: bool = False,
        also: Callable[[Session, str], object] = lambda session, identifier: None,
    ) -> VoiceFacts:
        """Keep a voice under its name; sharing it with every account is an admin's.

        `also` is told the id of the voice; what it writes is kept with the voice, or neither is.

        Raises:
            BadRequest, Conflict: the name or description cannot be used, or there are too many voices.
            NotFound: the account has no such consent, or it has ended.
        """
        name = check_voice_name(voice.name)
        if len(description) > MAX_DESCRIPTION:
            raise BadRequest(f"a description has at most {MAX_DESCRIPTION} characters", param="description")
        if shared and not caller.is_admin:
            raise BadRequest("only an admin's key may share a voice; leave 'shared' out", param="shared")
        row = voice_row(caller.account_id, replace(voice, name=name), consent_id, description, shared)

        def work(session: Session) -> None:
            now = row.created_at = self._store.now()
            if consent_id is not None:
                valid_consent(session, caller, consent_id, now)
            self._check_room(session, caller.account_id, name)
            session.add(row)
            session.flush()
            session.add(VoiceDataRow(voice_id=row.id, data=replace(voice, name=name).to_bytes()))
            also(session, row.id)
            mark_changed(session, Topic.VOICES)
            audit(session, caller, now, "voice.add", row.id, name=name, digest=row.digest, consent=consent_id)

        try:
            self._store.write(work)
        except IntegrityError as error:  # another process took the name meanwhile
            raise _taken(name) from error
        self.forget()
        return self._store.read(lambda session: facts_of_voice(session, row.id))

    def remove(self, caller: Caller, identifier: str) -> None:
        """Delete a voice: nobody can speak with it any more, and its data is overwritten.

        Raises:
            NotFound: there is none of that id that the caller may delete. Gone: it is gone already.
        """

        def work(session: Session) -> None:
            row = session.get(VoiceRow, identifier, with_for_update=True)
            if row is None or not (row.account_id == caller.account_id or caller.is_admin):
                raise _unknown(identifier)
            if row.gone_at is not None:
                raise _gone(row)
            end_voices(session, [row], DELETED, caller, self._store.now())

        self._store.write(work)
        self._store.erase_freed()
        self.forget()

    def forget_gone(self) -> list[str]:
        """Keep nothing of voices that are gone; their digests are returned, for whoever else keeps them."""
        known = list(self._spoken)
        query = select(VoiceRow.id).where(VoiceRow.id.in_(known), VoiceRow.gone_at.is_(None))
        gone = set(known) - set(self._store.read(lambda session: session.scalars(query).all()))
        if gone:
            self.forget()
        return [self._spoken.pop(identifier) for identifier in gone]

    def forget(self) -> None:
        """Read everything again: this process has changed it."""
        self._accounts.clear()
        self._voices.clear()

    def _check_room(self, session: Session, account_id: str, name: str) -> None:
        if session.scalar(of_name(account_id, name)) is not None:
            raise _taken(name)
        count = select(func.count()).where(VoiceRow.account_id == account_id, VoiceRow.gone_at.is_(None))
        if (session.scalar(count) or 0) >= self._most:
            raise BadRequest(f"there are {self._most} voices, as many as an account may have; delete one")

    async def _of_account(self, account_id: str) -> AccountVoices:
        known = self._accounts.fresh(account_id)
        return known if known is not None else await self._store.run(self._accounts.get, account_id)

    def _read_account(self, account_id: str) -> AccountVoices:
        query = WITH_END.where(
            or_(VoiceRow.account_id == account_id, VoiceRow.shared),
            VoiceRow.gone_at.is_(None),
            true() if self._family is None else VoiceRow.family == self._family,
        ).order_by(VoiceRow.account_id != account_id, VoiceRow.created_at, VoiceRow.name)

        def work(session: Session) -> AccountVoices:
            current = session.get(CurrentVoiceRow, account_id)
            return AccountVoices(
                voices=tuple(facts_of(row, end) for row, end in session.execute(query)),
                current=None if current is None else current.voice_id or current.preset,
            )

        return self._store.read(work)

    def _read_voice(self, identifier: str) -> Voice:
        row = self._store.read(lambda session: session.get(VoiceDataRow, identifier))
        if row is None:
            raise _unknown(identifier)
        return Voice.from_bytes(row.data, identifier)

    def _explain(self, caller: Caller, identifier: str) -> None:
        """Say that a voice is gone to whom it belonged, and nothing to others."""
        row = self._store.read(lambda session: session.get(VoiceRow, identifier))
        if row is None or not (row.account_id == caller.account_id or row.shared or caller.is_admin):
            return
        if row.gone_at is not None or row.consent_id is not None:
            raise _gone(row)


def _unknown(identifier: str) -> NotFound:
    return NotFound(f"there is no voice {identifier[:80]!r}; list them: GET /v1/audio/voices", param="voice")


def _taken(name: str) -> Conflict:
    return Conflict(f"a voice is called {name!r} already; choose another name or delete it", param="name")


def _gone(row: VoiceRow) -> Gone:
    reason = row.gone_because or "its consent has ended"
    return Gone(f"the voice {row.id} is gone: {reason}; choose another one", param="voice", code="voice_gone")
