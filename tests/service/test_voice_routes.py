"""Voices over HTTP: a recording becomes a voice, its owner's alone, until it is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.accounts import Accounts
from cosyrt.service.keys import Scope
from tests.service.forms import post, recording
from tests.service.served import Answer, Served, serving

VOICES, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"


@pytest.fixture(scope="module")
def closed(tiny: Pipeline) -> Iterator[Served]:
    """The tiny model, served to those who have a key."""
    with serving(tiny) as each:
        yield each


@pytest.fixture(scope="module")
def keys(closed: Served) -> dict[str, str]:
    """The keys of two users, of one who may only speak, and of an admin."""
    accounts = closed.service.accounts
    assert isinstance(accounts, Accounts)
    scopes = {"ann": {Scope.SPEECH, Scope.VOICES}, "reader": {Scope.SPEECH}, "boss": {Scope.ADMIN}}
    scopes["bob"] = scopes["ann"]
    return {name: accounts.add_key(name, scopes=each)[1] for name, each in scopes.items()}


def ask(served: Served, key: str, method: str, path: str, body: Any = None) -> Answer:
    kind = {} if body is None else {"content_type": "application/json"}
    return served.ask(method, path, body, authorization=f"Bearer {key}", **kind)


def consent(served: Served, key: str, **fields: Any) -> str:
    """The id of a new consent."""
    answer = post(served, CONSENTS, key=key, name="me", language="en-US", recording=recording(), **fields)
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


def create(served: Served, key: str, name: str, **fields: Any) -> Answer:
    """Make a voice with a consent of its own."""
    given = {"audio_sample": recording(), "consent": consent(served, key), **fields}
    return post(served, VOICES, key=key, name=name, **given)


def test_a_recording_becomes_a_voice_that_speaks(closed: Served, keys: dict[str, str]) -> None:
    """OpenAI's shape comes back; the voice is listed, spoken with by id and by name, deleted, and gone."""
    made = create(closed, keys["ann"], "Ann's own"[:3], ref_text="These are my words.")
    assert made.status == 200, made.body
    voice = made.json
    assert voice["object"] == "audio.voice" and voice["type"] == "audio_sample" and voice["name"] == "Ann"
    assert isinstance(voice["created_at"], int) and voice["language"] == "en"

    listed = ask(closed, keys["ann"], "GET", VOICES).json
    assert listed["data"] == listed["voices"]
    [entry] = [each for each in listed["data"] if each["kind"] == "own"]
    assert (entry["id"], entry["name"]) == (voice["id"], "Ann")
    assert ask(closed, keys["ann"], "GET", f"{VOICES}/{voice['id']}").json["consent"] == voice["consent"]

    bodies = [
        ask(
            closed,
            keys["ann"],
            "POST",
            "/v1/audio/speech",
            {"input": "Hi.", "voice": asked, "response_format": "pcm"},
        )
        for asked in (voice["id"], "Ann", {"id": voice["id"]}, "tom")
    ]
    assert [each.status for each in bodies[:3]] == [200, 200, 200]
    assert bodies[0].body == bodies[1].body == bodies[2].body

    deleted = ask(closed, keys["ann"], "DELETE", f"{VOICES}/{voice['id']}")
    assert deleted.json == {"id": voice["id"], "object": "audio.voice.deleted", "deleted": True}
    for method, path, body in (
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": voice["id"]}),
        ("GET", f"{VOICES}/{voice['id']}", None),
        ("DELETE", f"{VOICES}/{voice['id']}", None),
    ):
        gone = ask(closed, keys["ann"], method, path, body)
        assert (gone.status, gone.error["code"]) == (410, "voice_gone")


def test_nobody_else_sees_or_uses_a_voice(closed: Served, keys: dict[str, str]) -> None:
    """For another account the voice is not there: not in lists, not to speak with, not to delete."""
    voice = create(closed, keys["ann"], "secret").json
    assert voice["id"] not in ask(closed, keys["bob"], "GET", VOICES).body.decode()
    for method, path, body in (
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": voice["id"]}),
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": "secret"}),
        ("GET", f"{VOICES}/{voice['id']}", None),
        ("DELETE", f"{VOICES}/{voice['id']}", None),
        ("PUT", "/api/speaker", {"speaker": voice["id"]}),
    ):
        assert ask(closed, keys["bob"], method, path, body).status == 404
    assert ask(closed, keys["ann"], "DELETE", f"{VOICES}/{voice['id']}").status == 200


def test_an_admin_shares_a_voice(closed: Served, keys: dict[str, str]) -> None:
    """A shared voice is in the list of everybody, without a key too, and spoken with by all."""
    voice = create(closed, keys["boss"], "everybody", shared="true").json
    kinds = {each["id"]: each["kind"] for each in closed.ask("GET", VOICES).json["data"]}
    assert kinds[voice["id"]] == "shared"
    assert (
        ask(closed, keys["bob"], "POST", "/v1/audio/speech", {"input": "Hi.", "voice": "everybody"}).status
        == 200
    )
    assert ask(closed, keys["bob"], "DELETE", f"{VOICES}/{voice['id']}").status == 404
    refused = create(closed, keys["bob"], "mine", shared="true")
    assert (refused.status, refused.error["param"]) == (400, "shared")


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"name": "../../etc"}, 400, "name"),
        ({"name": "x" * 65}, 400, "name"),
        ({"name": "a\0b"}, 400, "name"),
        ({"consent": ""}, 400, "consent"),
        ({"consent": "cons_1"}, 404, "consent"),
        ({"type": "prompt", "prompt": "a calm old man"}, 400, "type"),
        ({"audio_sample": ""}, 400, "audio_sample"),
        ({"audio_sample": b"no audio"}, 400, "audio_sample"),
        ({"audio_sample": recording(seconds=0.5)}, 400, "audio_sample"),
        ({"audio_sample": recording(seconds=31)}, 400, "audio_sample"),
        ({"audio_sample": recording("flac")[:5_000]}, 400, "audio_sample"),
        ({"audio_sample": b"RIFF\x00\x00\x00\x00WAVE" + bytes(10_000)}, 400, "audio_sample"),
    ],
)
def test_what_makes_no_voice_is_refused(
    closed: Served, keys: dict[str, str], fields: dict[str, Any], status: int, param: str
) -> None:
    """The field that cannot be used is named in OpenAI's error, and nothing is kept."""
    given = {"name": "x", "consent": consent(closed, keys["bob"]), "audio_sample": recording(), **fields}
    answer = post(closed, VOICES, key=keys["bob"], **given)
    assert (answer.status, answer.error["param"]) == (status, param), answer.body
    assert [
        each for each in ask(closed, keys["bob"], "GET", VOICES).json["data"] if each["kind"] == "own"
    ] == []


def test_a_key_needs_the_scope(closed: Served, keys: dict[str, str]) -> None:
    """Who may only speak makes and deletes nothing; without a key nobody does anything."""
    assert post(closed, VOICES, key=keys["reader"], name="x", audio_sample=recording()).status == 403
    assert ask(closed, keys["reader"], "DELETE", f"{VOICES}/voice_1").status == 403
    assert post(closed, VOICES, name="x", audio_sample=recording()).status == 401


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "m4a", "aac"])
def test_recordings_of_many_formats_are_read(closed: Served, keys: dict[str, str], format: str) -> None:
    """What phones and browsers record is read as it is."""
    made = create(closed, keys["ann"], f"from {format}", audio_sample=recording(format))
    assert made.status == 200, made.body
    assert ask(closed, keys["ann"], "DELETE", f"{VOICES}/{made.json['id']}").status == 200


def test_a_name_is_there_once(closed: Served, keys: dict[str, str], tiny: Pipeline) -> None:
    """A name that the account or the model has is taken."""
    voice = create(closed, keys["ann"], "twice").json
    for name in ("twice", next(iter(tiny.voices))):
        answer = create(closed, keys["ann"], name)
        assert (answer.status, answer.error["param"]) == (409, "name")
    ask(closed, keys["ann"], "DELETE", f"{VOICES}/{voice['id']}")


def test_consent_may_be_left_to_the_operator(tiny: Pipeline) -> None:
    """Where the setting says so a voice is made without a consent."""
    with serving(tiny, require_consent=False) as served:
        assert post(served, VOICES, name="x", audio_sample=recording()).status == 200
