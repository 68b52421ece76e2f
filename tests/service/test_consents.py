"""Consents: kept with their recording, listed in pages, and ended with all that stands on them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.consents import Consents, NewConsent
from cosyrt.service.errors import BadRequest, Gone, NotFound
from cosyrt.service.schema import AuditRow, ConsentRecordingRow, ConsentRow
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from tests.service.conftest import Clock
from tests.voice.test_voice import voice

GIVEN = NewConsent(name="Ann", language="en-US", recording=b"I agree", media_type="audio/wav")


@pytest.fixture
def consents(store: Store) -> Consents:
    return Consents(store)


def test_a_consent_is_kept_with_its_recording(consents: Consents, store: Store, ann: Caller) -> None:
    """Facts are read back; the recording is beside them, with its digest."""
    facts = consents.add(ann, GIVEN)
    assert (facts.name, facts.language, facts.expires_at) == ("Ann", "en-US", None)
    assert consents.get(ann, facts.id) == facts
    row, recording = store.read(
        lambda session: (
            session.get_one(ConsentRow, facts.id),
            session.get_one(ConsentRecordingRow, facts.id),
        )
    )
    assert (row.kind, row.recording_sha256) == ("recorded", hashlib.sha256(b"I agree").hexdigest())
    assert (recording.media_type, recording.data) == ("audio/wav", b"I agree")


def test_consents_are_each_accounts_own(consents: Consents, ann: Caller, bob: Caller) -> None:
    """Another account cannot see, rename or revoke a consent: for it there is none."""
    facts = consents.add(ann, GIVEN)
    for call in (consents.get, consents.revoke, lambda who, which: consents.rename(who, which, "Bob's")):
        with pytest.raises(NotFound):
            call(bob, facts.id)
    assert consents.listed(bob) == ([], False)
    assert consents.get(ann, facts.id) == facts


def test_a_list_is_given_in_pages(consents: Consents, ann: Caller, clock: Clock) -> None:
    """Newest first; each page goes on after the last of the one before, and says whether there are more."""
    made = []
    for number in range(5):
        clock.now += number % 2  # some in the same second
        made.append(consents.add(ann, NewConsent(name=f"n{number}", language="zh")))
    pages, after = [], None
    while True:
        page, more = consents.listed(ann, after=after, limit=2)
        pages += page
        if not more:
            break
        after = page[-1].id
    assert pages == sorted(made, key=lambda facts: (facts.created_at, facts.id), reverse=True)
    for limit in (0, 101):
        with pytest.raises(BadRequest, match="give 1 to 100"):
            consents.listed(ann, limit=limit)
    with pytest.raises(NotFound):
        consents.listed(ann, after="cons_1")


def test_a_revoked_consent_ends_its_voices(consents: Consents, store: Store, ann: Caller) -> None:
    """The voices are gone at once, the recording too; that it was given and revoked stays written."""
    voices = StoredVoices(store, "cosyvoice2")
    facts = consents.add(ann, GIVEN)
    on_it = voices.add(ann, voice(name="mine"), consent_id=facts.id)
    other = voices.add(ann, voice(name="other"))
    consents.revoke(ann, facts.id)
    voices.forget()

    assert [each.id for each in asyncio.run(voices.listed(ann))] == [other.id]
    with pytest.raises(Gone, match="its consent was revoked"):
        asyncio.run(voices.find(ann, on_it.id))
    for call in (consents.get, consents.revoke):
        with pytest.raises(NotFound):
            call(ann, facts.id)
    assert consents.listed(ann) == ([], False)
    actions = (
        select(AuditRow.action).where(AuditRow.subject.in_([facts.id, on_it.id])).order_by(AuditRow.action)
    )
    recordings = select(func.count()).select_from(ConsentRecordingRow)
    assert store.read(lambda session: list(session.scalars(actions))) == [
        "consent.add",
        "consent.revoke",
        "voice.add",
        "voice.end",
    ]
    assert store.read(lambda session: session.scalar(recordings)) == 0


def test_nothing_of_a_revoked_recording_is_left_on_the_disk(tmp_path: Path) -> None:
    """The bytes of the recording are in no file of the database any more."""
    with Store(str(tmp_path / "service.db")) as store:
        recording = b"I agree, says a telling voice" * 1_000
        facts = Consents(store).add(LOCAL_CALLER, NewConsent(name="Ann", language="en", recording=recording))
        Consents(store).revoke(LOCAL_CALLER, facts.id)
        assert [path for path in tmp_path.iterdir() if b"a telling voice" in path.read_bytes()] == []


def test_a_consent_is_renamed(consents: Consents, ann: Caller) -> None:
    """The label changes and nothing else; one that cannot be shown is refused."""
    facts = consents.add(ann, GIVEN)
    assert consents.rename(ann, facts.id, "Ann 2").name == "Ann 2"
    assert consents.get(ann, facts.id).created_at == facts.created_at
    with pytest.raises(BadRequest):
        consents.rename(ann, facts.id, "\0")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"language": "English, of course"}, "language"),
        ({"language": ""}, "language"),
        ({"name": " "}, "name"),
        ({"statement": "x" * 4_001}, "statement"),
        ({"expires_at": 1}, "expires_at"),
    ],
)
def test_what_is_no_consent_is_refused(
    consents: Consents,
    ann: Caller,
    changes: dict[str, object],
    param: str,
) -> None:
    """The field that cannot be used is named, and nothing is kept."""
    with pytest.raises(BadRequest) as refused:
        consents.add(ann, NewConsent(**{"name": "Ann", "language": "en", **changes}))  # type: ignore[arg-type]
    assert refused.value.param == param
    assert consents.listed(ann) == ([], False)
