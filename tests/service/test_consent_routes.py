"""Consents over HTTP, in OpenAI's shapes; revoking one ends its voices."""

from __future__ import annotations

from typing import Any

import pytest

from cosyrt.engine.pipeline import Pipeline
from tests.service.forms import post, recording
from tests.service.served import Served
from tests.service.test_voice_routes import CONSENTS, VOICES, ask, closed, consent, create, keys

__all__ = ["closed", "keys"]  # fixtures


def test_a_consent_is_made_read_renamed_and_revoked(closed: Served, keys: dict[str, str]) -> None:
    """Each answer has the fields that OpenAI's client reads; afterwards there is none."""
    key, path = keys["ann"], f"{CONSENTS}/{consent(closed, keys['ann'])}"
    found = ask(closed, key, "GET", path).json
    assert found["object"] == "audio.voice_consent" and isinstance(found["created_at"], int)
    assert (found["name"], found["language"]) == ("me", "en-US")
    assert ask(closed, key, "POST", path, {"name": "myself"}).json == {**found, "name": "myself"}
    assert ask(closed, key, "DELETE", path).json == {
        "id": found["id"],
        "object": "audio.voice_consent",
        "deleted": True,
    }
    for method in ("GET", "DELETE"):
        assert ask(closed, key, method, path).status == 404


def test_consents_are_listed_in_pages(closed: Served, keys: dict[str, str]) -> None:
    """`after` and `limit` work as OpenAI's client uses them, and other accounts' consents are not there."""
    key = keys["bob"]
    made = {consent(closed, key) for _ in range(3)}
    first = ask(closed, key, "GET", f"{CONSENTS}?limit=2").json
    assert first["object"] == "list" and first["has_more"] is True and len(first["data"]) == 2
    rest = ask(closed, key, "GET", f"{CONSENTS}?limit=100&after={first['data'][-1]['id']}").json
    assert rest["has_more"] is False
    assert made <= {each["id"] for each in first["data"] + rest["data"]}
    assert not made & {each["id"] for each in ask(closed, keys["ann"], "GET", CONSENTS).json["data"]}
    for query in ("limit=0", "limit=101", "limit=x"):
        assert ask(closed, key, "GET", f"{CONSENTS}?{query}").status == 400


def test_a_revoked_consent_takes_its_voices_along(closed: Served, keys: dict[str, str]) -> None:
    """The next request with the voice is told that it is gone, and the list has it no more."""
    voice = create(closed, keys["ann"], "consented").json
    assert ask(closed, keys["ann"], "DELETE", f"{CONSENTS}/{voice['consent']}").status == 200
    gone = ask(closed, keys["ann"], "POST", "/v1/audio/speech", {"input": "Hi.", "voice": voice["id"]})
    assert gone.status == 410 and "consent was revoked" in gone.error["message"]
    assert voice["id"] not in ask(closed, keys["ann"], "GET", VOICES).body.decode()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"recording": b"nothing to hear"}, "recording"),
        ({"recording": recording("flac")[:100]}, "recording"),
        ({"recording": recording(seconds=61)}, "recording"),
        ({"language": "English!"}, "language"),
        ({"name": "\0"}, "name"),
        ({"expires_at": "5"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
    ],
)
def test_what_is_no_consent_is_refused(
    closed: Served, keys: dict[str, str], fields: dict[str, Any], param: str
) -> None:
    """The field that cannot be used is named."""
    given = {"name": "me", "language": "en", "recording": recording(), **fields}
    answer = post(closed, CONSENTS, key=keys["ann"], **given)
    assert (answer.status, answer.error["param"]) == (400, param), answer.body


def test_a_key_needs_the_scope(closed: Served, keys: dict[str, str], tiny: Pipeline) -> None:
    """Who may only speak neither makes consents nor sees them."""
    for method, path in (("GET", CONSENTS), ("GET", f"{CONSENTS}/cons_1"), ("DELETE", f"{CONSENTS}/cons_1")):
        assert ask(closed, keys["reader"], method, path).status == 403
    assert post(closed, CONSENTS, key=keys["reader"], name="x", language="en", recording=b"x").status == 403
