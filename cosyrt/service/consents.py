"""Consents: a speaker's recorded agreement that a voice is made of a recording of theirs.

A consent can end on a day that was set, or be revoked at any time. With it end the voices that stand on it.
The recording is deleted then; who agreed to what, and until when, stays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Select, delete, or_, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.errors import BadRequest, Conflict, NotFound
from cosyrt.service.gone_voices import CONSENT_EXPIRED, CONSENT_REVOKED, end_voices
from cosyrt.service.names import check_label
from cosyrt.service.schema import ConsentRecordingRow, ConsentRow, VoiceRow
from cosyrt.service.store import Store

PREFIX = "cons_"
MAX_STATEMENT = 4_000  # characters
MAX_LISTED = 100
LISTED = 20  # where a client does not say how many
RECORDED, WRITTEN = "recorded", "written"
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)  # of BCP 47


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConsent:
    """A consent as it is given."""

    name: str
    language: str
    recording: bytes = b""
    media_type: str = ""
    statement: str = ""  # the words that were agreed to
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """All that is shown of a consent."""

    id: str
    name: str
    language: str
    statement: str
    created_at: int
    expires_at: int | None


class Consents:
    """The consents of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        caller: Caller,
        given: NewConsent,
        *,
        also: Callable[[Session, str], object] = lambda session, identifier: None,
    ) -> ConsentFacts:
        """Keep a consent for the caller's account.

        `also` is told its id; what it writes is kept with the consent, or neither is.

        Raises:
            BadRequest: a name, language, statement or end that cannot be used.
            Conflict: what `also` writes is there already.
        """
        row = _checked_row(caller.account_id, given, now := self._store.now())

        def work(session: Session) -> ConsentFacts:
            session.add(row)
            session.flush()
            if given.recording:
                session.add(
                    ConsentRecordingRow(
                        consent_id=row.id, media_type=given.media_type[:40], data=given.recording
                    )
                )
            also(session, row.id)
            audit(session, caller, now, "consent.add", row.id, name=row.name, sha256=row.recording_sha256)
            return _facts(row)

        try:
            return self._store.write(work)
        except IntegrityError as error:
            raise Conflict("the same consent is being given at this moment; try again") from error

    def get(self, caller: Caller, identifier: str) -> ConsentFacts:
        """One consent of the caller's account.

        Raises:
            NotFound: there is none of that id, or it has ended.
        """
        now = self._store.now()
        return self._store.read(lambda session: _facts(valid_consent(session, caller, identifier, now)))

    def listed(
        self, caller: Caller, *, after: str | None = None, limit: int = LISTED
    ) -> tuple[list[ConsentFacts], bool]:
        """Consents of the caller's account, newest first, and whether there are more.

        Raises:
            BadRequest: a limit out of range. NotFound: no consent to go on after.
        """
        if not 1 <= limit <= MAX_LISTED:
            raise BadRequest(f"the limit is {limit}; give 1 to {MAX_LISTED}", param="limit")
        now = self._store.now()

        def work(session: Session) -> list[ConsentFacts]:
            query = _valid(caller, now)
            if after is not None:
                row = valid_consent(session, caller, after, now)
                query = query.where((row.created_at, row.id) > _PLACE)
            ordered = query.order_by(ConsentRow.created_at.desc(), ConsentRow.id.desc())
            return [_facts(row) for row in session.scalars(ordered.limit(limit + 1))]

        found = self._store.read(work)
        return found[:limit], len(found) > limit

    def rename(self, caller: Caller, identifier: str, name: str) -> ConsentFacts:
        """Give a consent another label.

        Raises:
            BadRequest: a name that cannot be used. NotFound: there is none of that id.
        """
        name, now = check_label(name, "a consent"), self._store.now()

        def work(session: Session) -> ConsentFacts:
            row = valid_consent(session, caller, identifier, now)
            row.name = name
            return _facts(row)

        return self._store.write(work)

    def revoke(self, caller: Caller, identifier: str) -> None:
        """End a consent, and with it the voices that stand on it.

        Raises:
            NotFound: there is none of that id.
        """
        now = self._store.now()

        def work(session: Session) -> None:
            row = valid_consent(session, caller, identifier, now)
            row.revoked_at = now
            audit(session, caller, now, "consent.revoke", row.id)
            _end(session, row, CONSENT_REVOKED, caller, now)

        self._store.write(work)
        self._store.erase_freed()

    def end_expired(self) -> int:
        """Delete what stands on consents that have expired; the number of those consents is returned."""
        now = self._store.now()
        query = select(ConsentRow).where(ConsentRow.expires_at <= now, ConsentRow.revoked_at.is_(None))

        def work(session: Session) -> int:
            rows = session.scalars(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                row.revoked_at = row.expires_at
                _end(session, row, CONSENT_EXPIRED, LOCAL_CALLER, now)
            return len(rows)

        ended = self._store.write(work)
        if ended:
            self._store.erase_freed()
        return ended


def valid_consent(session: Session, caller: Caller, identifier: str, now: int) -> ConsentRow:
    """The consent of that id, if it is the caller's and has not ended.

    Raises:
        NotFound: there is none.
    """
    row = session.scalar(_valid(caller, now).where(ConsentRow.id == identifier))
    if row is None:
        raise NotFound(
            f"there is no consent {identifier[:80]!r}, or it has ended; see GET /v1/audio/voice_consents",
            param="consent",
        )
    return row


_PLACE = tuple_(ConsentRow.created_at, ConsentRow.id)


def _valid(caller: Caller, now: int) -> Select[ConsentRow]:
    return select(ConsentRow).where(
        ConsentRow.account_id == caller.account_id,
        ConsentRow.revoked_at.is_(None),
        or_(ConsentRow.expires_at.is_(None), ConsentRow.expires_at > now),
    )


def _end(session: Session, consent: ConsentRow, because: str, by: Caller, now: int) -> None:
    session.execute(delete(ConsentRecordingRow).where(ConsentRecordingRow.consent_id == consent.id))
    voices = select(VoiceRow).where(VoiceRow.consent_id == consent.id, VoiceRow.gone_at.is_(None))
    end_voices(session, session.scalars(voices).all(), because, by, now)


def _checked_row(account_id: str, given: NewConsent, now: int) -> ConsentRow:
    if not _LANGUAGE.fullmatch(given.language):
        raise BadRequest(
            f"{given.language[:40]!r} is no language tag; give one such as en-US or zh", param="language"
        )
    if len(given.statement) > MAX_STATEMENT:
        raise BadRequest(f"a statement has at most {MAX_STATEMENT} characters", param="statement")
    if given.expires_at is not None and given.expires_at <= now:
        raise BadRequest("the consent would have ended already; choose a later end", param="expires_at")
    return ConsentRow(
        id=f"{PREFIX}{uuid4().hex}",
        account_id=account_id,
        name=check_label(given.name, "a consent"),
        language=given.language,
        kind=RECORDED if given.recording else WRITTEN,
        statement=given.statement,
        recording_sha256=hashlib.sha256(given.recording).hexdigest() if given.recording else "",
        created_at=now,
        expires_at=given.expires_at,
    )


def _facts(row: ConsentRow) -> ConsentFacts:
    return ConsentFacts(
        id=row.id,
        name=row.name,
        language=row.language,
        statement=row.statement,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
