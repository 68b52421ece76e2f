"""Examples in /openapi.json: every route has them, and they are what the service takes and answers."""

from __future__ import annotations

from typing import Any

import pytest

from cosyrt.service.examples import ANSWERED, SPOKEN, TAKEN
from cosyrt.service.wire import OUTPUT_FORMATS
from tests.service.forms import post, recording
from tests.service.served import Served


def routes(served: Served) -> dict[str, Any]:
    """The routes of the document, by method and path."""
    paths = served.ask("GET", "/openapi.json").json["paths"]
    return {f"{method.upper()} {path}": each for path in paths for method, each in paths[path].items()}


def test_every_route_has_examples(served: Served) -> None:
    """What is taken, what is answered, and one shape of errors; none of an error that is never sent."""
    found = routes(served)
    assert set(found) == set(ANSWERED) | set(SPOKEN) | {"GET /metrics"}
    for name, route in found.items():
        assert "422" not in route["responses"]
        assert "error" in route["responses"]["default"]["content"]["application/json"]["example"]
        for content in route.get("requestBody", {}).get("content", {}).values():
            assert (
                "example" in content or content["schema"].get("examples") or "NewKeyBody" in str(content)
            ), name
        if name in ANSWERED:
            assert route["responses"]["200"]["content"]["application/json"]["example"] == ANSWERED[name]


@pytest.mark.parametrize(
    "name",
    [name for name in ANSWERED if name.startswith("GET") and "{" not in name and "accounts" not in name],
)
def test_an_answer_has_the_names_of_its_example(served: Served, name: str) -> None:
    """The example of a list or a state has the fields of a real answer, and no others."""
    answer = served.ask("GET", name.partition(" ")[2]).json
    example = ANSWERED[name]
    if set(answer) - {"plan"} != set(example) - {"plan"}:  # an empty list has no ends
        assert not answer["data"] and set(answer) <= set(example)
    for field, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            assert any(set(value[0]) == set(each) for each in example[field]), field


def test_what_is_made_looks_like_its_example(served: Served) -> None:
    """A consent and a voice, as they are answered, have the fields of the examples."""
    consent = post(served, "/v1/audio/voice_consents", name="a", language="en", recording=recording()).json
    assert set(consent) == set(ANSWERED["POST /v1/audio/voice_consents"])
    given = {"name": "example", "consent": consent["id"], "audio_sample": recording()}
    voice = post(served, "/v1/audio/voices", **given).json
    assert set(voice) == set(ANSWERED["POST /v1/audio/voices"])
    deleted = served.ask("DELETE", f"/v1/audio/voices/{voice['id']}").json
    assert set(deleted) == set(ANSWERED["DELETE /v1/audio/voices/{identifier}"])
    served.ask("DELETE", f"/v1/audio/voice_consents/{consent['id']}")


def test_an_example_is_taken(served: Served) -> None:
    """The body of an example is spoken, or would be if its voice were there."""
    spoken = served.ask("POST", "/api/tts", {**TAKEN["POST /api/tts"], "speaker": ""})
    assert spoken.status == 200


@pytest.mark.parametrize("format", [*OUTPUT_FORMATS, "srt"])
def test_the_types_of_speech_are_those_that_are_sent(served: Served, format: str) -> None:
    """The document names the media type of each format."""
    content = routes(served)["POST /v1/audio/speech"]["responses"]["200"]["content"]
    assert served.speak(response_format=format).headers["content-type"] in content
