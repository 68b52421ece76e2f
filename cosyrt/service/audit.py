"""The audit of what was done to keys, voices and consents: a row in the same transaction as the deed."""

from __future__ import annotations

import json
from uuid import uuid4

from sqlalchemy.orm import Session

from cosyrt.service.callers import Caller
from cosyrt.service.schema import AuditRow


def audit(session: Session, by: Caller, now: int, action: str, subject: str, **detail: object) -> None:
    """Write down who did what to what; it becomes true with the transaction."""
    session.add(audit_row(by, now, action, subject, **detail))


def audit_row(by: Caller, now: int, action: str, subject: str, **detail: object) -> AuditRow:
    """One row of the audit."""
    return AuditRow(
        id=uuid4().hex,
        at=now,
        account_id=by.account_id,
        key_id=by.key_id,
        action=action,
        subject=subject,
        detail=json.dumps(detail, ensure_ascii=False),
    )
