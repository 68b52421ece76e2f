"""The lists that programs read before they speak."""

from __future__ import annotations

import pytest

from tests.service.served import Served


def test_models(served: Served) -> None:
    """The model stands first, then the names that stand for it; each can be asked for by itself."""
    models = served.ask("GET", "/v1/models").json["data"]

    assert [model["id"] for model in models][:2] == [served.service.model, "tts-1"]
    for model in models:
        one = served.ask("GET", f"/v1/models/{model['id']}").json
        assert model.items() <= one.items()
        assert [voice["name"] for voice in one["voices"]][:2] == ["ann", "mei"]


@pytest.mark.parametrize("name", ["nobody", "..%2f..%2fetc%2fpasswd", "a" * 300])
def test_a_model_that_is_none(served: Served, name: str) -> None:
    """The error is one that the openai package knows."""
    answer = served.ask("GET", f"/v1/models/{name}")

    assert (answer.status, answer.error["type"]) == (404, "not_found_error")


def test_voices_in_both_forms(served: Served) -> None:
    """Objects for programs of today, names alone for older ones."""
    objects = served.ask("GET", "/v1/audio/voices").json
    names = served.ask("GET", "/v1/audio/voices?legacy=true").json

    assert objects["voices"] == objects["data"]
    assert names["voices"] == [voice["name"] for voice in objects["voices"]]


def test_capabilities_are_true(served: Served) -> None:
    """What is said to be possible is: every format answers, and the limit of a text is the limit."""
    can = served.ask("GET", "/v1/capabilities").json

    assert can["sample_rate"] == 24_000
    assert {served.speak("Hi.", response_format=format).status for format in can["formats"]} == {200}
    assert served.speak("x" * (can["max_text_characters"] + 1)).status == 400
