"""The end of voices: the row stays and says why; the name, the data and what pointed to them go."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import Caller
from cosyrt.service.schema import CurrentVoiceRow, Topic, VoiceDataRow, VoiceRow
from cosyrt.service.store import mark_changed

DELETED = "it was deleted"
CONSENT_REVOKED = "its consent was revoked"
CONSENT_EXPIRED = "its consent has expired"


def end_voices(session: Session, rows: Iterable[VoiceRow], because: str, by: Caller, now: int) -> None:
    """Let voices be gone, in this transaction."""
    for row in rows:
        session.execute(delete(VoiceDataRow).where(VoiceDataRow.voice_id == row.id))
        session.execute(delete(CurrentVoiceRow).where(CurrentVoiceRow.voice_id == row.id))
        audit(session, by, now, "voice.end", row.id, name=row.name, because=because)
        row.name, row.description, row.language = row.id, "", None  # the name is free again
        row.gone_at, row.gone_because = now, because
        mark_changed(session, Topic.VOICES)
