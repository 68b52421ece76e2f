"""Stored voices: whose they are, who may speak with them, and that what is gone is gone everywhere."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosyrt.service import shared_cache
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.consents import Consents, NewConsent
from cosyrt.service.errors import BadRequest, Conflict, Gone, NotFound
from cosyrt.service.keys import Scope
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from tests.service.conftest import Clock
from tests.voice.test_voice import assert_same, voice


@pytest.fixture
def voices(store: Store) -> StoredVoices:
    return StoredVoices(store, "cosyvoice2", most=3)


def names(voices: StoredVoices, caller: Caller) -> list[str]:
    return [facts.name for facts in asyncio.run(voices.listed(caller))]


def test_a_voice_is_kept_and_spoken_with(voices: StoredVoices, ann: Caller) -> None:
    """What was added is found by its name and by its id, and is the same voice."""
    made = voice(name="小林")
    facts = voices.add(ann, made, description="my own")

    for asked in ("小林", facts.id):
        found = asyncio.run(voices.find(ann, asked))
        assert found is not None
        assert_same(found, made)
    assert (facts.name, facts.language, facts.digest, facts.description) == (
        "小林",
        "en",
        made.digest,
        "my own",
    )
    assert asyncio.run(voices.find(ann, "another")) is None


def test_a_voice_that_another_process_has_just_made(voices: StoredVoices, ann: Caller, store: Store) -> None:
    """The id is known at once, though what this process remembers of the account is older."""
    assert names(voices, ann) == []
    made = StoredVoices(store, "cosyvoice2").add(ann, voice(name="new"))

    assert asyncio.run(voices.facts(ann, made.id)) == made
    assert asyncio.run(voices.find(ann, made.id)) is not None


def test_an_account_sees_its_own_and_the_shared_voices(
    voices: StoredVoices, ann: Caller, bob: Caller
) -> None:
    """A voice of somebody else is not listed, found or deleted: it looks as if it were not there."""
    own = voices.add(ann, voice(name="mine"))
    voices.add(LOCAL_CALLER, voice(name="everybody's"[:9]), shared=True)

    assert names(voices, ann) == ["mine", "everybody"]
    assert names(voices, bob) == ["everybody"]
    for asked in ("mine", own.id):
        assert asyncio.run(voices.find(bob, asked)) is None
    with pytest.raises(NotFound):
        voices.remove(bob, own.id)
    assert asyncio.run(voices.find(ann, own.id)) is not None


def test_an_own_voice_goes_before_a_shared_one(voices: StoredVoices, ann: Caller) -> None:
    """Two accounts may have voices of one name; each speaks with its own."""
    voices.add(LOCAL_CALLER, voice(name="kim"), shared=True)
    mine = voice(7, name="kim")
    voices.add(ann, mine)
    found = asyncio.run(voices.find(ann, "kim"))
    assert found is not None and found.digest == mine.digest


def test_only_an_admin_shares(voices: StoredVoices, ann: Caller) -> None:
    """A user's key cannot give a voice to everybody."""
    with pytest.raises(BadRequest, match="only an admin's key"):
        voices.add(ann, voice(name="mine"), shared=True)
    assert names(voices, ann) == []


def test_names_and_numbers_are_limited(voices: StoredVoices, ann: Caller) -> None:
    """A name is there once, cannot be a path, and an account has so many voices and no more."""
    voices.add(ann, voice(name="a"))
    with pytest.raises(Conflict, match="called 'a' already"):
        voices.add(ann, voice(name="a"))
    with pytest.raises(BadRequest, match="cannot be called"):
        voices.add(ann, voice(name="../a"))
    with pytest.raises(BadRequest, match="at most 500"):
        voices.add(ann, voice(name="b"), description="x" * 501)
    for name in "bc":
        assert voices.check_free(ann, name) == name
        voices.add(ann, voice(name=name))
    with pytest.raises(BadRequest, match="as many as an account may have"):
        voices.check_free(ann, "d")
    assert names(voices, ann) == ["a", "b", "c"]


def test_a_deleted_voice_is_gone(voices: StoredVoices, ann: Caller, store: Store, database: str) -> None:
    """Nobody lists it or speaks with it, in no process; its id says that it is gone, its name is free."""
    facts = voices.add(ann, voice(name="mine"))
    with Store(database, now=store.now) as other:
        theirs = StoredVoices(other, "cosyvoice2")
        for each in (voices, theirs):
            assert asyncio.run(each.find(ann, "mine")) is not None
        voices.remove(ann, facts.id)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_cache, "CHECK_S", 0.0)
            for each in (voices, theirs):
                assert names(each, ann) == [] and asyncio.run(each.find(ann, "mine")) is None
                with pytest.raises(Gone, match="is gone: it was deleted") as gone:
                    asyncio.run(each.find(ann, facts.id))
                assert gone.value.status == 410
        for each in (voices, theirs):
            assert each.forget_gone() == [facts.digest] and each.forget_gone() == []
    with pytest.raises(Gone):
        voices.remove(ann, facts.id)
    assert voices.add(ann, voice(name="mine")).id != facts.id


def test_nothing_of_a_deleted_voice_is_left_on_the_disk(tmp_path: Path) -> None:
    """Neither the numbers of a voice nor its words are in any file of the database after it was deleted."""
    with Store(str(tmp_path / "service.db")) as store:
        voices = StoredVoices(store, "cosyvoice2")
        made = voice(name="mine", text="very telling words")
        facts = voices.add(LOCAL_CALLER, made)

        def holders() -> list[str]:
            traces = (made.speaker.tobytes()[:64], b"very telling words")
            return [
                path.name
                for path in tmp_path.iterdir()
                if any(trace in path.read_bytes() for trace in traces)
            ]

        assert holders()
        voices.remove(LOCAL_CALLER, facts.id)
        assert holders() == []


def test_a_current_voice_is_one_that_an_account_has(voices: StoredVoices, ann: Caller, bob: Caller) -> None:
    """A stored voice or one of the model's is chosen by each account for itself, and ends with the voice."""
    facts = voices.add(ann, voice(name="mine"))
    assert asyncio.run(voices.current(ann)) is None
    assert voices.choose(ann, "mine", presets=()) == facts.id
    assert voices.choose(bob, "tom", presets=("tom",)) == "tom"
    assert [asyncio.run(voices.current(caller)) for caller in (ann, bob)] == [facts.id, "tom"]
    for wrong in ("mine", facts.id, "nobody"):
        with pytest.raises(NotFound):
            voices.choose(bob, wrong, presets=("tom",))
    voices.remove(ann, facts.id)
    assert asyncio.run(voices.current(ann)) is None
    assert voices.choose(bob, None, presets=()) is None
    assert asyncio.run(voices.current(bob)) is None


def test_choices_that_are_made_at_once_do_not_fail(voices: StoredVoices, ann: Caller) -> None:
    """When an account makes many choices at the same moment each succeeds, and one is the last."""
    presets = ("tom", "amy")
    with ThreadPoolExecutor(6) as threads:
        chosen = threads.map(lambda number: voices.choose(ann, presets[number % 2], presets), range(12))
        assert list(chosen) == list(presets) * 6
    assert asyncio.run(voices.current(ann)) in presets


def test_the_current_voice_is_known_to_other_processes(
    voices: StoredVoices, ann: Caller, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice that another process made is in use as soon as the number of changes is looked at."""
    assert asyncio.run(voices.current(ann)) is None
    with Store(database) as other:
        StoredVoices(other, "cosyvoice2").choose(ann, "tom", presets=("tom",))
    monkeypatch.setattr(shared_cache, "CHECK_S", 0.0)
    assert asyncio.run(voices.current(ann)) == "tom"


def test_a_voice_ends_with_its_consent(voices: StoredVoices, ann: Caller, store: Store, clock: Clock) -> None:
    """From the second of its end nobody speaks with the voice, though nobody has looked at the database."""
    consents = Consents(store)
    given = NewConsent(name="Ann", language="en", expires_at=clock.now + 10)
    consent = consents.add(ann, given)
    facts = voices.add(ann, voice(name="mine"), consent_id=consent.id)
    voices.choose(ann, "mine", presets=())
    assert facts.expires_at == clock.now + 10 and asyncio.run(voices.find(ann, "mine")) is not None

    clock.now += 10
    assert names(voices, ann) == []
    assert asyncio.run(voices.find(ann, "mine")) is None and asyncio.run(voices.current(ann)) is None
    with pytest.raises(Gone, match="its consent has ended"):
        asyncio.run(voices.find(ann, facts.id))
    assert consents.end_expired() == 1
    voices.forget()
    with pytest.raises(Gone, match="its consent has expired"):
        asyncio.run(voices.find(ann, facts.id))
    assert consents.end_expired() == 0


def test_a_consent_must_be_ones_own_and_last(
    voices: StoredVoices, ann: Caller, bob: Caller, store: Store, clock: Clock
) -> None:
    """A voice cannot stand on a consent of another account, or on one that has ended or never was."""
    consents = Consents(store)
    others = consents.add(bob, NewConsent(name="Bob", language="en"))
    over = consents.add(ann, NewConsent(name="Ann", language="en", expires_at=clock.now + 1))
    clock.now += 1
    for identifier in (others.id, over.id, "cons_1"):
        with pytest.raises(NotFound) as refused:
            voices.add(ann, voice(name="mine"), consent_id=identifier)
        assert refused.value.param == "consent"
    assert names(voices, ann) == []


def test_voices_of_another_model_are_not_listed(store: Store, ann: Caller) -> None:
    """A voice of another family cannot be spoken with by this model, and is there for the one that can."""
    StoredVoices(store, "cosyvoice2").add(ann, voice(name="mine"))
    assert names(StoredVoices(store, "cosyvoice3"), ann) == []


def test_a_voice_that_two_processes_add_is_there_once(
    voices: StoredVoices, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the check of the name and the commit of another cross, the database decides."""
    monkeypatch.setattr(StoredVoices, "_check_room", lambda *_: None)
    voices.add(ann, voice(name="mine"))
    with pytest.raises(Conflict):
        voices.add(ann, voice(name="mine"))


def test_an_admin_may_delete_any_voice(voices: StoredVoices, ann: Caller) -> None:
    """An operator can take a voice away whoever it belongs to."""
    facts = voices.add(ann, voice(name="mine"))
    voices.remove(Caller(account_id="acct_0", scopes=frozenset({Scope.ADMIN})), facts.id)
    assert names(voices, ann) == []
