"""Requests as they were captured from real clients, and what each client needs of the answer."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.callers import LOCAL_CALLER
from tests.service.forms import BOUNDARY, encoded, recording
from tests.service.served import Answer, Served, serving
from tests.service.test_stream_socket import connected

FOLDER = Path(__file__).parent / "fixtures"
FIXTURES = {path.stem: json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))}
OVER_HTTP = [name for name, each in FIXTURES.items() if each["requests"]]
ON_SOCKETS = [name for name, each in FIXTURES.items() if "events" in each]


@pytest.fixture(scope="module")
def household(tiny: Pipeline) -> Iterator[tuple[Served, dict[str, str]]]:
    """A service with a stored voice, a consent and a voice to be deleted; and their ids."""
    with serving(tiny) as served:
        voices = served.service.catalogue.stored
        for name in ("voice_1", "old"):
            voices.add(LOCAL_CALLER, tiny.voice_from(recording(), "Some words.", name))
        ids = {"$voice": voices.add(LOCAL_CALLER, tiny.voice_from(recording(), "Words.", "gone")).id}
        form = FIXTURES["F03_openai_consent"]["requests"][0]
        ids["$consent"] = sent(served, form, {}).json["id"]
        yield served, ids


def sent(served: Served, request: dict[str, Any], ids: dict[str, str]) -> Answer:
    """Replay one request."""
    path, headers = request["path"], dict(request["headers"])
    body: Any = request.get("body")
    for name, value in ids.items():
        path = path.replace(name, value)
    if "form" in request:
        parts = {
            name: recording() if isinstance(each, dict) else ids.get(each, each)
            for name, each in request["form"].items()
        }
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
        body = encoded(parts)
    elif body is not None:
        body = json.dumps(body).encode()
    return served.ask(request["method"], path, body, **headers)


def seconds(body: bytes, format: str) -> float:
    """How long the audio of a body is, decoded to its end."""
    if format == "pcm":
        assert len(body) % 2 == 0
        return len(body) / 48_000
    heard = 0.0
    with av.open(io.BytesIO(body)) as file:
        for packet in file.demux(audio=0):
            with suppress(av.InvalidDataError):  # of the tag between two bodies that were joined
                heard += sum(frame.samples / frame.sample_rate for frame in packet.decode())
    return heard


def body_of(answer: Answer, expect: dict[str, Any]) -> bytes:
    """The audio of an answer, from its events where it has some."""
    if not expect.get("events"):
        return answer.body
    lines = answer.body.decode().splitlines()
    assert all(line.startswith("data: ") for line in lines if line)
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert events[-1]["usage"]["output_tokens"] > 0
    return b"".join(base64.b64decode(event["audio"]) for event in events[:-1])


def check(answer: Answer, expect: dict[str, Any]) -> None:
    """Hold an answer against what the client needs."""
    assert answer.status == expect["status"], answer.body[:500]
    assert answer.headers["content-type"].startswith(expect.get("type", ""))
    assert expect.get("without") not in answer.headers
    if expect.get("chunked"):
        assert answer.headers["transfer-encoding"] == "chunked"
    if "audio" in expect:
        body = body_of(answer, expect)
        assert body.startswith(expect.get("magic", "").encode())
        assert seconds(body, expect["audio"]) > 0.2
        return
    found = answer.json
    if "code" in expect:
        assert found["error"]["code"] == expect["code"]
    assert {name: found[name] for name in expect.get("json", {})} == expect.get("json", {})
    assert not set(expect.get("keys", ())) - set(found)
    for name, keys in expect.get("items", {}).items():
        assert found[name]
        assert all(isinstance(item[key], str) for item in found[name] for key in keys)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_client_gets_what_it_needs(household: tuple[Served, dict[str, str]], name: str) -> None:
    """Each request of the client is answered with what it reads."""
    served, ids = household
    for request in FIXTURES[name]["requests"]:
        check(sent(served, request, ids), request["expect"])


def test_joined_bodies_are_one_file(household: tuple[Served, dict[str, str]]) -> None:
    """LibreChat joins mp3 bodies: the whole of them is decoded, because none counts its own frames."""
    served, ids = household
    bodies = [sent(served, request, ids).body for request in FIXTURES["F21_librechat"]["requests"]]

    assert b"Xing" not in b"".join(bodies) and b"Info" not in b"".join(bodies)
    assert seconds(b"".join(bodies), "mp3") == pytest.approx(
        sum(seconds(body, "mp3") for body in bodies), abs=0.1
    )


@pytest.mark.parametrize("name", ON_SOCKETS)
def test_a_client_on_a_socket_gets_what_it_needs(household: tuple[Served, dict[str, str]], name: str) -> None:
    """The events that a client waits for come, with the ids and the status that it reads."""
    served, _ = household
    seen: list[dict[str, Any]] = []
    with connected(served, "/v1/realtime?model=gpt-realtime", Authorization="Bearer sk-test") as client:
        for step in FIXTURES[name]["events"]:
            if "send" in step:
                client.send(json.dumps(step["send"]))
                continue
            while not seen or seen[-1]["type"] != step["wait"]:
                seen.append(json.loads(client.recv(timeout=60)))

    deltas = [event for event in seen if event["type"] == "response.output_audio.delta"]
    assert {event["response_id"] for event in deltas} == {seen[-1]["response"]["id"]}
    assert seen[-1]["response"]["status"] == "completed"


def test_every_number_has_its_file() -> None:
    """The fixtures are F1 to F22; nothing was ever captured as F19."""
    numbers = {int(name[1:3]) for name in FIXTURES}

    assert numbers == set(range(1, 23)) - {19}
