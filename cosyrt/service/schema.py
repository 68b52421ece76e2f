"""The tables: accounts, their keys, voices and consents, and the records of what was done.

Points in time are whole seconds since 1970 UTC (`_at`), so that both databases and every client agree on
them. A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID, NAME = String(40), String(64)
LOCAL_ACCOUNT = "local"  # the account of a service without keys, and of voices that the command line made
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Topic(StrEnum):
    """What processes keep in memory; its number in `versions` grows with each change."""

    KEYS = "keys"
    VOICES = "voices"


class Base(DeclarativeBase):
    """Base of all tables; constraints have names, so that a migration can change them."""

    metadata = MetaData(naming_convention=NAMING)


class AccountRow(Base):
    """One user of the service."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    created_at: Mapped[int] = mapped_column(BigInteger)


class KeyRow(Base):
    """An API key: what is needed to recognise it, never the key itself."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    scopes: Mapped[str] = mapped_column(String(200))  # separated by blanks
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)


class ConsentRow(Base):
    """A speaker's agreement that a voice is made of a recording of theirs."""

    __tablename__ = "voice_consents"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    language: Mapped[str] = mapped_column(String(35))  # the longest tag of BCP 47 in use
    kind: Mapped[str] = mapped_column(String(20))
    statement: Mapped[str] = mapped_column(Text)
    recording_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger, index=True)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class ConsentRecordingRow(Base):
    """The recording in which a speaker agrees; apart, so that lists do not read it."""

    __tablename__ = "voice_consent_recordings"

    consent_id: Mapped[str] = mapped_column(
        ForeignKey("voice_consents.id", ondelete="CASCADE"), primary_key=True
    )
    media_type: Mapped[str] = mapped_column(String(40))
    data: Mapped[bytes] = mapped_column(LargeBinary)


class VoiceRow(Base):
    """A voice of an account. One that is gone keeps its row and why, but neither its name nor its data."""

    __tablename__ = "voices"
    __table_args__ = (Index("uq_voices_account_id_name", "account_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(NAME)
    shared: Mapped[bool]  # with every account
    language: Mapped[str | None] = mapped_column(String(35))
    family: Mapped[str] = mapped_column(String(20))
    description: Mapped[str] = mapped_column(Text)
    consent_id: Mapped[str | None] = mapped_column(ForeignKey("voice_consents.id"), index=True)
    digest: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[int] = mapped_column(BigInteger)
    gone_at: Mapped[int | None] = mapped_column(BigInteger)
    gone_because: Mapped[str | None] = mapped_column(String(40))


class VoiceDataRow(Base):
    """The file of a voice, as `Voice.to_bytes` makes it; apart, so that lists do not read it."""

    __tablename__ = "voice_data"

    voice_id: Mapped[str] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class CurrentVoiceRow(Base):
    """The voice of an account where a request names none: a stored one, or one of the model's."""

    __tablename__ = "current_voices"
    __table_args__ = (CheckConstraint("(voice_id IS NULL) <> (preset IS NULL)", name="one"),)

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    voice_id: Mapped[str | None] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"))
    preset: Mapped[str | None] = mapped_column(NAME)
    changed_at: Mapped[int] = mapped_column(BigInteger)


class ImportedVoiceRow(Base):
    """A voice of the command line's library that was copied into the store once."""

    __tablename__ = "imported_voices"

    name: Mapped[str] = mapped_column(NAME, primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    imported_at: Mapped[int] = mapped_column(BigInteger)


class RequestRow(Base):
    """One request for speech and how it went; the text is kept only where the operator wants it."""

    __tablename__ = "request_log"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    account_id: Mapped[str] = mapped_column(ID, index=True)
    key_id: Mapped[str] = mapped_column(ID)
    route: Mapped[str] = mapped_column(String(60))
    model: Mapped[str] = mapped_column(String(100))
    voice: Mapped[str] = mapped_column(NAME)
    format: Mapped[str] = mapped_column(String(20))
    characters: Mapped[int]
    text: Mapped[str | None] = mapped_column(Text)
    status: Mapped[int]
    error: Mapped[str | None] = mapped_column(String(200))
    first_audio_ms: Mapped[int | None]
    audio_ms: Mapped[int]
    total_ms: Mapped[int]


class AuditRow(Base):
    """One thing that was done to keys, voices and consents, or one label that was put on speech."""

    __tablename__ = "audit"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    account_id: Mapped[str] = mapped_column(ID, index=True)
    key_id: Mapped[str] = mapped_column(ID)
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(100))
    detail: Mapped[str] = mapped_column(Text)  # JSON


class VersionRow(Base):
    """A number that grows with each change of a topic: other processes see that what they keep is old."""

    __tablename__ = "versions"

    topic: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class IdempotencyRow(Base):
    """What a request with an Idempotency-Key has made, for when it comes again."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(ID)  # the id of the voice or consent
    at: Mapped[int] = mapped_column(BigInteger, index=True)


class BucketRow(Base):
    """A token bucket that several processes share."""

    __tablename__ = "rate_buckets"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    at: Mapped[float] = mapped_column(Double)  # seconds of the database's clock
