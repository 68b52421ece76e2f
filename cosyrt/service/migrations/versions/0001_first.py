"""The first schema: accounts, keys, voices with consent, the request log and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID, NAME = sa.String(40), sa.String(64)


def upgrade() -> None:
    """Make all tables."""
    _accounts()
    _consents()
    _voices()
    _records()
    _bookkeeping()


def _accounts() -> None:
    accounts = op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    # the account of whoever uses the service on its own machine, before there are keys
    op.bulk_insert(accounts, [{"id": "local", "name": "local", "created_at": 0}])
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        _of_account("api_keys"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])


def _consents() -> None:
    op.create_table(
        "voice_consents",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("recording_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        _of_account("voice_consents"),
        sa.PrimaryKeyConstraint("id", name="pk_voice_consents"),
    )
    op.create_index("ix_voice_consents_account_id", "voice_consents", ["account_id"])
    op.create_index("ix_voice_consents_expires_at", "voice_consents", ["expires_at"])
    op.create_table(
        "voice_consent_recordings",
        sa.Column("consent_id", ID, nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["voice_consents.id"],
            name="fk_voice_consent_recordings_consent_id_voice_consents",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consent_id", name="pk_voice_consent_recordings"),
    )


def _voices() -> None:
    op.create_table(
        "voices",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("language", sa.String(35)),
        sa.Column("family", sa.String(20), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("consent_id", ID),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("gone_at", sa.BigInteger),
        sa.Column("gone_because", sa.String(40)),
        _of_account("voices"),
        sa.ForeignKeyConstraint(
            ["consent_id"], ["voice_consents.id"], name="fk_voices_consent_id_voice_consents"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_voices"),
    )
    op.create_index("ix_voices_consent_id", "voices", ["consent_id"])
    op.create_index("uq_voices_account_id_name", "voices", ["account_id", "name"], unique=True)
    op.create_table(
        "voice_data",
        sa.Column("voice_id", ID, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        _of_voice("voice_data"),
        sa.PrimaryKeyConstraint("voice_id", name="pk_voice_data"),
    )
    op.create_table(
        "current_voices",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("voice_id", ID),
        sa.Column("preset", NAME),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("(voice_id IS NULL) <> (preset IS NULL)", name=op.f("ck_current_voices_one")),
        _of_account("current_voices"),
        _of_voice("current_voices"),
        sa.PrimaryKeyConstraint("account_id", name="pk_current_voices"),
    )


def _records() -> None:
    op.create_table(
        "request_log",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("route", sa.String(60), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("voice", NAME, nullable=False),
        sa.Column("format", sa.String(20), nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error", sa.String(200)),
        sa.Column("first_audio_ms", sa.Integer),
        sa.Column("audio_ms", sa.Integer, nullable=False),
        sa.Column("total_ms", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_request_log"),
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    for table in ("request_log", "audit"):
        for column in ("at", "account_id"):
            op.create_index(f"ix_{table}_{column}", table, [column])


def _bookkeeping() -> None:
    op.create_table(
        "imported_voices",
        sa.Column("name", NAME, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", "digest", name="pk_imported_voices"),
    )
    op.create_table(
        "rate_buckets",
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("tokens", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rate_buckets"),
    )
    versions = op.create_table(
        "versions",
        sa.Column("topic", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_versions"),
    )
    op.bulk_insert(versions, [{"topic": topic, "number": 0} for topic in ("keys", "voices")])


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_account_id_accounts"
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=name, ondelete="CASCADE")


def _of_voice(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_voice_id_voices"
    return sa.ForeignKeyConstraint(["voice_id"], ["voices.id"], name=name, ondelete="CASCADE")
