"""The current voice: chosen once, used by every request that names none."""

from __future__ import annotations

import pytest

from cosyrt.engine.pipeline import Pipeline
from tests.service.served import Served
from tests.service.test_voice_routes import ask, closed, create, keys

__all__ = ["closed", "keys"]  # fixtures


def spoken(closed: Served, key: str, **fields: object) -> bytes:
    body = {"input": "Hi there.", "response_format": "pcm", **fields}
    answer = ask(closed, key, "POST", "/v1/audio/speech", body)
    assert answer.status == 200, answer.body
    return answer.body


def test_a_choice_is_used_until_another_is_made(closed: Served, keys: dict[str, str], tiny: Pipeline) -> None:
    """A model's voice or a stored one, for this account alone; null gives the choice back to the service."""
    first, *_, last = tiny.voices
    voice = create(closed, keys["ann"], "for now").json
    by_default = spoken(closed, keys["ann"])
    for chosen, stored in ((last, last), ("for now", voice["id"]), (voice["id"], voice["id"])):
        assert ask(closed, keys["ann"], "PUT", "/api/speaker", {"speaker": chosen}).json == {
            "speaker": stored
        }
        assert ask(closed, keys["ann"], "GET", "/api/speaker").json == {"speaker": stored}
        assert spoken(closed, keys["ann"]) == spoken(closed, keys["ann"], voice=chosen)
    assert ask(closed, keys["bob"], "GET", "/api/speaker").json == {"speaker": None}
    assert spoken(closed, keys["bob"]) == by_default

    found = ask(closed, keys["ann"], "GET", "/api/speakers").json
    assert found["current"] == voice["id"]
    assert {first, last, voice["id"]} <= {each["id"] for each in found["speakers"]}
    assert ask(closed, keys["ann"], "PUT", "/api/speaker", {"speaker": None}).json == {"speaker": None}
    assert spoken(closed, keys["ann"]) == by_default


@pytest.mark.parametrize(
    ("body", "status"),
    [({"speaker": "nobody"}, 404), ({"speaker": ""}, 400), ({}, 400), ({"speaker": 3}, 400)],
)
def test_what_is_no_voice_is_not_chosen(
    closed: Served, keys: dict[str, str], body: dict[str, object], status: int
) -> None:
    """A voice that is not there, or no name at all, changes nothing."""
    assert ask(closed, keys["bob"], "PUT", "/api/speaker", body).status == status
    assert ask(closed, keys["bob"], "GET", "/api/speaker").json == {"speaker": None}
