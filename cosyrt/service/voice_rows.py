"""Rows of stored voices, and what is shown of them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from cosyrt.service.schema import ConsentRow, VoiceRow
from cosyrt.voice.voice import Voice

PREFIX = "voice_"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFacts:
    """All that is shown of a stored voice."""

    id: str
    name: str
    account_id: str
    shared: bool
    language: str | None
    family: str
    description: str
    consent_id: str | None
    expires_at: int | None  # when its consent ends
    digest: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountVoices:
    """What one account may speak with: its own voices first, then the shared ones; and its current voice."""

    voices: tuple[VoiceFacts, ...]
    current: str | None  # the id of a stored voice, or the name of one of the model's


WITH_END = select(VoiceRow, ConsentRow.expires_at).outerjoin(ConsentRow, VoiceRow.consent_id == ConsentRow.id)


def voice_row(
    account_id: str, voice: Voice, consent_id: str | None, description: str, shared: bool
) -> VoiceRow:
    """A new row for a voice; when it was made is set by whoever adds it."""
    return VoiceRow(
        id=f"{PREFIX}{uuid4().hex}",
        account_id=account_id,
        name=voice.name,
        shared=shared,
        language=voice.language,
        family=voice.family,
        description=description,
        consent_id=consent_id,
        digest=voice.digest,
    )


def facts_of_voice(session: Session, identifier: str) -> VoiceFacts:
    """What is shown of the voice of that id."""
    row, expires_at = session.execute(WITH_END.where(VoiceRow.id == identifier)).one()
    return facts_of(row, expires_at)


def facts_of(row: VoiceRow, expires_at: int | None) -> VoiceFacts:
    """What is shown of a voice whose consent ends at a time."""
    return VoiceFacts(
        id=row.id,
        name=row.name,
        account_id=row.account_id,
        shared=row.shared,
        language=row.language,
        family=row.family,
        description=row.description,
        consent_id=row.consent_id,
        expires_at=expires_at,
        digest=row.digest,
        created_at=row.created_at,
    )


def of_name(account_id: str, name: str) -> Select[str]:
    """The id of an account's voice of that name."""
    return select(VoiceRow.id).where(VoiceRow.account_id == account_id, VoiceRow.name == name)


def named(found: AccountVoices, asked: str) -> VoiceFacts | None:
    """The voice of that id or name, an account's own before a shared one."""
    return next((facts for facts in found.voices if asked in (facts.id, facts.name)), None)


def is_over(facts: VoiceFacts, now: int) -> bool:
    """Whether the consent has ended; its end needs no one to write it down."""
    return facts.expires_at is not None and facts.expires_at <= now
