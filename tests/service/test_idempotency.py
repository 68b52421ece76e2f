"""Requests that come twice: one voice, one consent, and the answer of the first."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.callers import Caller
from cosyrt.service.idempotency import KEPT_S, IdempotencyKeys
from cosyrt.service.store import Store
from tests.service.conftest import Clock
from tests.service.forms import BOUNDARY, encoded, recording
from tests.service.served import Answer, Served, serving

VOICES, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module")
def fresh(tiny: Pipeline) -> Iterator[Served]:
    """A service that wants no consent."""
    with serving(tiny, require_consent=False) as served:
        yield served


def post(served: Served, path: str, key: str, **fields: str | bytes) -> Answer:
    return served.ask("POST", path, encoded(fields), content_type=FORM, idempotency_key=key)


def count(served: Served, path: str) -> int:
    entries = served.ask("GET", path).json["data"]
    return sum(each.get("kind") != "model" for each in entries)


@pytest.mark.parametrize("path", [VOICES, CONSENTS])
def test_a_request_that_comes_again_is_done_once(fresh: Served, path: str) -> None:
    """The second answer is the first one; another key, or none, makes another thing."""
    file = {"audio_sample" if path == VOICES else "recording": recording()}
    fields = {"name": "one", "language": "en-US", **file}
    before = count(fresh, path)
    first, second = (post(fresh, path, f"{path} a", **fields) for _ in range(2))
    assert first.status == 200 and first.json == second.json
    assert count(fresh, path) == before + 1
    assert post(fresh, path, f"{path} b", **{**fields, "name": "two"}).json["id"] != first.json["id"]


def test_a_key_belongs_to_one_request(fresh: Served) -> None:
    """With another name, recording or route the key is refused, and nothing is made."""
    given: dict[str, str | bytes] = {"name": "mine", "audio_sample": recording()}
    assert post(fresh, VOICES, "k", **given).status == 200
    others = [
        post(fresh, VOICES, "k", **{**given, "name": "other"}),
        post(fresh, VOICES, "k", **{**given, "audio_sample": recording(seconds=1.5)}),
        post(fresh, CONSENTS, "k", name="mine", language="en", recording=recording()),
    ]
    assert [(each.status, each.error["code"]) for each in others] == [(400, "idempotency_key_reused")] * 3


def test_the_same_request_twice_at_once(fresh: Served) -> None:
    """Two requests at the same moment make one thing, and both are told of it."""
    given: dict[str, str | bytes] = {"name": "at once", "audio_sample": recording()}
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: post(fresh, VOICES, "now", **given), range(2)))
    assert answers[0].status == 200 and answers[0].json == answers[1].json


def test_a_request_that_failed_may_be_mended(fresh: Served) -> None:
    """A refusal is not kept: with the same key, a better request is done."""
    assert post(fresh, VOICES, "m", name="../..", audio_sample=recording()).status == 400
    assert post(fresh, VOICES, "m", name="mended", audio_sample=recording()).status == 200


def test_what_was_deleted_does_not_come_back(fresh: Served) -> None:
    """A request for a voice that is gone by now is told so."""
    given: dict[str, str | bytes] = {"name": "gone", "audio_sample": recording()}
    made = post(fresh, VOICES, "g", **given).json["id"]
    assert fresh.ask("DELETE", f"{VOICES}/{made}").status == 200
    again = post(fresh, VOICES, "g", **given)
    assert (again.status, again.error["code"]) == (410, "voice_gone")


def test_keys_are_of_an_account_and_last_a_day(store: Store, clock: Clock, ann: Caller, bob: Caller) -> None:
    """Another account may use the same key; after a day it is forgotten and its row deleted."""
    keys = IdempotencyKeys(store)
    mine, theirs = keys.attempt(ann, "k", "x"), keys.attempt(bob, "k", "y")
    store.write(lambda session: mine.note(session, "voice_1"))
    assert (keys.made_by(mine), keys.made_by(theirs)) == ("voice_1", None)
    clock.now += KEPT_S
    assert keys.made_by(mine) is None
    keys.forget_old()
    store.write(lambda session: mine.note(session, "voice_2"))  # there is room for it again


def test_a_key_is_kept_with_the_deed_or_not_at_all(store: Store, ann: Caller) -> None:
    """Where the transaction fails, the request counts as never made."""
    keys = IdempotencyKeys(store)
    attempt = keys.attempt(ann, "k", "x")
    with pytest.raises(LookupError):
        store.write(lambda session: (attempt.note(session, "voice_1"), {}["nothing"]))
    assert keys.made_by(attempt) is None
