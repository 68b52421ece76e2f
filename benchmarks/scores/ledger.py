"""What writers meant to do, what they were told is done, and whether a database agrees with them.

A ledger is a file of lines that are appended whole, so that it outlives whoever is killed while writing it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.scores.score import Score
from cosyrt.service.engines import is_sqlite
from cosyrt.service.store import Store

KINDS = "key", "consent", "voice", "gone"  # gone: a voice that was deleted

NAMED = {
    "key": "SELECT name, id FROM api_keys",
    "consent": "SELECT name, id FROM voice_consents",
    "voice": "SELECT name, id FROM voices WHERE gone_at IS NULL",
    "gone": "SELECT 'gone-' || id, id FROM voices WHERE gone_at IS NOT NULL",
}
# What must never be there: half of something, or something that belongs to nothing.
HALVES = {
    "voices without data": (
        "SELECT count(*) FROM voices v LEFT JOIN voice_data d ON d.voice_id = v.id "
        "WHERE v.gone_at IS NULL AND d.voice_id IS NULL"
    ),
    "data of voices that are gone": (
        "SELECT count(*) FROM voice_data d JOIN voices v ON v.id = d.voice_id WHERE v.gone_at IS NOT NULL"
    ),
    "consents without their recording": (
        "SELECT count(*) FROM voice_consents c LEFT JOIN voice_consent_recordings r ON r.consent_id = c.id "
        "WHERE c.kind = 'recorded' AND c.revoked_at IS NULL AND r.consent_id IS NULL"
    ),
    "keys of no account": (
        "SELECT count(*) FROM api_keys k LEFT JOIN accounts a ON a.id = k.account_id WHERE a.id IS NULL"
    ),
    "voices that were made or ended without an audit": (
        "SELECT count(*) FROM voices v WHERE NOT EXISTS "
        "(SELECT 1 FROM audit a WHERE a.subject = v.id AND a.action = 'voice.add') OR (v.gone_at IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = v.id AND a.action = 'voice.end'))"
    ),
    "keys that were made without an audit": (
        "SELECT count(*) FROM api_keys k WHERE NOT EXISTS "
        "(SELECT 1 FROM audit a WHERE a.subject = k.id AND a.action = 'key.add')"
    ),
    "idempotency keys of nothing": (
        "SELECT count(*) FROM idempotency_keys i WHERE i.subject NOT IN (SELECT id FROM voices) "
        "AND i.subject NOT IN (SELECT id FROM voice_consents)"
    ),
}


@dataclass(frozen=True, slots=True)
class Ledger:
    """A file of intents and acknowledgements."""

    path: Path

    def note(self, what: str, kind: str, name: str) -> None:
        """Append a line: `meant` before a deed, `told` once it is done, `ended` before it is undone."""
        line = json.dumps([what, kind, name]).encode() + b"\n"
        out = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(out, line)
        finally:
            os.close(out)

    def read(self, what: str) -> dict[str, set[str]]:
        """The names of what was meant or told, by kind."""
        found: dict[str, set[str]] = {kind: set() for kind in KINDS}
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for each, kind, name in map(json.loads, lines):
            if each == what:
                found[kind].add(name)
        return found


@dataclass(slots=True)
class Findings:
    """How a database differs from its ledger."""

    told: int = 0
    unheard: int = 0  # done, though nobody was told: a client that tries again must not do it twice
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    halves: dict[str, int] = field(default_factory=dict)
    broken: str = ""  # what the database says of its own files

    def into(self, score: Score, where: str) -> None:
        """Say what was found."""
        score.expect(not self.lost, f"{where}: {len(self.lost)} lost, such as {self.lost[:3]}")
        score.expect(not self.twice, f"{where}: {len(self.twice)} twice, such as {self.twice[:3]}")
        score.expect(not self.broken, f"{where}: {self.broken}")
        for what, count in self.halves.items():
            score.expect(not count, f"{where}: {count} {what}")


def compare(url: str, ledger: Ledger) -> Findings:
    """Look for everything that was told in a database, and for what must not be there."""
    with Store(url) as store:
        found = store.read(_names)
        halves = store.read(lambda session: {what: _count(session, query) for what, query in HALVES.items()})
        broken = store.read(_integrity) if is_sqlite(store.engine) else ""
    told, meant, ended = (ledger.read(what) for what in ("told", "meant", "ended"))
    findings = Findings(halves=halves, broken=broken)
    for kind in KINDS:
        there = found[kind]
        findings.told += len(told[kind])
        findings.unheard += len(set(there) & meant[kind] - told[kind])
        findings.lost += [f"{kind} {name}" for name in told[kind] - ended[kind] if not there[name]]
        findings.twice += [f"{kind} {name}" for name in meant[kind] if there[name] > 1]
    return findings


def _names(session: Session) -> dict[str, Counter[str]]:
    return {kind: Counter(name for name, _ in session.execute(text(query))) for kind, query in NAMED.items()}


def _count(session: Session, query: str) -> int:
    return int(session.execute(text(query)).scalar_one())


def _integrity(session: Session) -> str:
    lines = [str(line) for (line,) in session.execute(text("PRAGMA integrity_check"))]
    return "" if lines == ["ok"] else "; ".join(lines[:3])


def numbered(prefix: str) -> Iterator[str]:
    """Names that are never used again."""
    count = 0
    while True:
        yield f"{prefix}-{count}"
        count += 1
