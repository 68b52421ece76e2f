"""WebSocket /v1/realtime, as OpenAI's own client and as programs that read aloud use it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai import AsyncOpenAI

from cosyrt.engine.pipeline import Pipeline
from cosyrt.labels import fields_of
from tests.service.served import Served
from tests.service.test_stream_socket import connected, received, said, send

PATH = "/v1/realtime?model=gpt-realtime"


def message(text: str) -> dict[str, Any]:
    """An item with a text."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def audio_of(events: list[dict[str, Any]]) -> bytes:
    """The audio in the deltas of a response."""
    deltas = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
    assert all(len(base64.b64decode(delta)) % 2 == 0 for delta in deltas)
    return b"".join(map(base64.b64decode, deltas))


def test_a_response_is_read_aloud(served: Served, tiny: Pipeline) -> None:
    """The events come in the order that clients wait for, with the audio of the text and its words."""
    with connected(served, PATH) as client:
        created, _ = received(client, "session.created")
        output = {"voice": "mei", "format": {"type": "audio/pcm", "rate": 24_000}, "speed": 1.0}
        send(client, "session.update", session={"audio": {"output": output}, "instructions": "Read aloud."})
        updated, _ = received(client, "session.updated")
        send(client, "response.create", response={"conversation": "none", "input": [message("Hi. Bye.")]})
        events, _ = received(client, "response.done")

    assert created[0]["session"]["model"] == "gpt-realtime"
    assert updated[0]["session"]["audio"]["output"]["voice"] == "mei"
    assert events[0]["type"] == "response.created"
    name = events[0]["response"]["id"]
    assert {event["response_id"] for event in events[1:-1]} == {name}
    assert (events[-1]["response"]["id"], events[-1]["response"]["status"]) == (name, "completed")
    assert audio_of(events) == said(tiny, "Hi. ", "Bye.", voice="mei")
    words = [e["transcript"] for e in events if e["type"] == "response.output_audio_transcript.done"]
    assert words == ["Hi. Bye."]
    assert fields_of(events[-1]["response"]["metadata"]["AIGC"])["Label"] == "1"


def test_items_wait_for_a_response(served: Served) -> None:
    """Items that were created before are what a response without input speaks, once."""
    with connected(served, PATH) as client:
        send(client, "conversation.item.create", item=message("Hi."))
        received(client, "conversation.item.done")
        send(client, "response.create")
        events, _ = received(client, "response.done")
        send(client, "response.create")
        refused, _ = received(client, "error")

    assert events[-1]["response"]["status"] == "completed"
    assert refused[-1]["error"]["param"] == "input"


def test_a_response_can_be_cancelled(served: Served) -> None:
    """The work of a response stops; a second cancel is an error; the session goes on."""
    with connected(served, PATH) as client:
        send(client, "response.create", response={"input": [message("One two three four five. " * 50)]})
        received(client, "response.output_audio.delta")
        send(client, "response.create", response={"input": [message("Hi.")]})
        twice, _ = received(client, "error")
        send(client, "response.cancel")
        events, _ = received(client, "response.done")
        served.wait_idle()
        send(client, "response.cancel")
        again, _ = received(client, "error")

    assert twice[-1]["error"]["code"] == "response_active"
    assert events[-1]["response"]["status"] == "cancelled"
    assert again[-1]["error"]["code"] == "response_cancel_not_active"


def test_a_voice_that_is_none_fails_the_response(served: Served) -> None:
    """The response fails with the error in it, so that a client which waits for its end goes on."""
    with connected(served, PATH) as client:
        send(client, "session.update", session={"audio": {"output": {"voice": "nobody"}}})
        send(client, "response.create", response={"input": [message("Hi.")]})
        events, _ = received(client, "response.done")

    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["status_details"]["error"]["code"] == "voice_not_found"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.update", "session": {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}},
        {"type": "session.update", "session": {"audio": {"output": {"speed": 9}}}},
        {"type": "session.update", "session": []},
        {"type": "input_audio_buffer.append", "audio": ""},
        {"type": "response.create", "response": {"input": [{"content": 7}, 3]}},
    ],
    ids=str,
)
def test_what_is_not_served_is_an_error(served: Served, event: dict[str, Any]) -> None:
    """The session stays open."""
    with connected(served, PATH) as client:
        send(client, **{"kind": event.pop("type"), **event})
        received(client, "error")
        send(client, "session.update", session={})
        received(client, "session.updated")


async def _by_openai(url: str) -> tuple[bytes, str]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none")
    async with client.realtime.connect(model="gpt-realtime") as session:
        await session.session.update(session={"type": "realtime", "audio": {"output": {"voice": "alloy"}}})
        await session.response.create(response={"input": [message("Hi.")]})  # type: ignore[typeddict-item]
        audio = b""
        async for event in session:
            if event.type == "response.output_audio.delta":
                audio += base64.b64decode(event.delta)
            if event.type == "response.done":
                return audio, event.response.status or ""
    raise AssertionError("the session ended")


def test_the_openai_package_speaks_realtime(served: Served, tiny: Pipeline) -> None:
    """The package that programs use reads our events with its own types."""
    import asyncio

    audio, status = asyncio.run(_by_openai(served.url))

    assert status == "completed"
    assert audio == said(tiny, "Hi.")


@pytest.mark.parametrize("field", ["response", "session", "item"])
@pytest.mark.parametrize("value", ["text", [1], 5, True])
def test_what_is_no_object_is_refused(served: Served, field: str, value: object) -> None:
    """A field of another kind than an object gets an error event, and the socket goes on."""
    kinds = {"response": "response.create", "session": "session.update", "item": "conversation.item.create"}
    with connected(served, PATH) as client:
        send(client, kinds[field], **{field: value})
        refused, _ = received(client, "error")
        send(client, "response.create", response={"input": [message("Hi.")]})
        received(client, "response.done")

    assert refused[-1]["error"]["param"] == field


def test_half_a_character_comes_back(served: Served) -> None:
    """An item is echoed whatever its texts hold; no event is too odd to be sent."""
    with connected(served, PATH) as client:
        client.send('{"type": "conversation.item.create", "item": {"note": "\\ud800"}}')
        events, _ = received(client, "conversation.item.done")

    assert events[-1]["item"]["note"] == "\ud800"


def test_an_item_has_a_name_that_clients_can_read(served: Served) -> None:
    """The id of the client comes back, no id and null make one; a name of another kind is refused."""
    with connected(served, PATH) as client:
        ids = []
        for given in ({"id": "mine"}, {"id": None}, {}):
            send(client, "conversation.item.create", item={"status": None, **given})
            ids.append(received(client, "conversation.item.done")[0][-1]["item"])
        send(client, "conversation.item.create", item={"id": 7})
        refused, _ = received(client, "error")

    assert ids[0]["id"] == "mine"
    assert all(each["id"].startswith("item_") for each in ids[1:])
    assert {each["status"] for each in ids} == {"completed"}
    assert refused[-1]["error"]["param"] == "item.id"


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_number_is_not_sent_back(served: Served, number: str) -> None:
    """An item with a number that JSON has not is refused: its echo would be no JSON."""
    with connected(served, PATH) as client:
        client.send(f'{{"type": "conversation.item.create", "item": {{"note": {number}}}}}')
        refused, _ = received(client, "error")

    assert refused[-1]["error"]["message"].startswith("an event is one JSON object")


def test_items_do_not_gather_for_ever(served: Served) -> None:
    """More text than one response may have is refused when it is added; what was there stays."""
    most = served.service.settings.max_text
    with connected(served, PATH) as client:
        send(client, "conversation.item.create", item=message("Hi."))
        received(client, "conversation.item.done")
        send(client, "conversation.item.create", item=message("x" * most))
        refused, _ = received(client, "error")
        send(client, "response.create")
        events, _ = received(client, "response.done")

    assert refused[-1]["error"]["param"] == "item"
    assert events[-1]["response"]["status"] == "completed"
