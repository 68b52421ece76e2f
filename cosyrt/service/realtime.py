"""WebSocket /v1/realtime: the part of OpenAI's realtime API by which programs have a text read aloud.

    → session.update, conversation.item.create, response.create, response.cancel
    ← session.created, session.updated, response.created, response.output_audio.delta, response.done, error

There is no chat behind it. Instructions are not followed: clients put "read this aloud" there, which a voice
would take for a manner of speaking.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket

from cosyrt.errors import CosyrtError
from cosyrt.labels import KEY
from cosyrt.service.errors import BadRequest
from cosyrt.service.output import PCM_HZ, Output
from cosyrt.service.reading import Reading
from cosyrt.service.sockets import Conversation, Event
from cosyrt.service.speech import check_model
from cosyrt.service.wire import SpeechBody, answer_to, answer_to_fields, error_body

router = APIRouter(tags=["speech"])

SUBPROTOCOL = "realtime"
NO_TEXT = "…"  # stands for the input that comes later
MAX_PIECE = 32_000  # bytes of audio in an event


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket, model: str = "") -> None:
    """Speak what the items of a conversation say."""
    offered = SUBPROTOCOL in socket.scope["subprotocols"]
    await Realtime(socket, model).run(SUBPROTOCOL if offered else None)


class Realtime(Conversation):
    """One session: its settings, its items that wait to be spoken, and the response that is being spoken."""

    def __init__(self, socket: WebSocket, model: str) -> None:
        super().__init__(socket)
        self.id, self.model = f"sess_{token_hex(12)}", model or self.service.model
        self.body = SpeechBody(input=NO_TEXT, response_format="pcm")
        self.waiting: list[str] = []  # texts of items
        self.response = ""
        self.said = ""
        self.label = ""  # of synthetic speech, once there is some

    def greeting(self) -> Event:
        """What the session is like."""
        return {"type": "session.created", "session": self._session()}

    async def send(self, event: Event) -> None:
        """Send an event, with an id as every event of the API has one."""
        await super().send({"event_id": f"event_{token_hex(10)}", **event})

    async def on_event(self, event: Event) -> bool:
        """Change the session, take in items, or speak.

        Raises:
            BadRequest: an event that is none, or that cannot be used.
        """
        match event["type"]:
            case "session.update":
                self.body = self._updated(_table(event, "session"))
                await self.send({"type": "session.updated", "session": self._session()})
            case "conversation.item.create":
                item = _table(event, "item")
                added = {**item, "id": _id_of(item), "status": "completed"}
                self._take(item)
                await self.send({"type": "conversation.item.added", "item": added})
                await self.send({"type": "conversation.item.done", "item": added})
            case "response.create":
                await self._respond(_table(event, "response"))
            case "response.cancel":
                await self._cancel()
            case other:
                raise BadRequest(f"there is no event {other[:40]!r} here; see docs/service.md", param="type")
        return True

    def _updated(self, session: dict[str, Any]) -> SpeechBody:
        output = _table(_table(session, "audio"), "output")
        form = _table(output, "format")
        if form.get("type", "audio/pcm") != "audio/pcm" or form.get("rate", PCM_HZ) != PCM_HZ:
            raise BadRequest(f"audio goes out as audio/pcm of {PCM_HZ} Hz; ask for that", param="format")
        given = {name: output[name] for name in ("voice", "speed") if output.get(name) is not None}
        try:
            return SpeechBody.model_validate(self.body.model_dump(exclude_none=True) | given)
        except ValidationError as error:
            raise answer_to_fields(error) from error

    def _take(self, item: dict[str, Any]) -> None:
        """Keep the words of an item until they are to be spoken.

        Raises:
            BadRequest: more wait than one response may have.
        """
        texts, most = [*self.waiting, *_texts([item])], self.service.settings.max_text
        if sum(map(len, texts)) > most or len(texts) > most:
            raise BadRequest(f"more than {most} characters wait; send response.create", param="item")
        self.waiting = texts

    async def _respond(self, response: dict[str, Any]) -> None:
        if self.speaking:
            raise BadRequest("a response is being spoken; cancel it or wait for it", code="response_active")
        check_model(self.service, self.model)
        items = response.get("input")
        texts = self.waiting if items is None else list(_texts(items))
        text = "\n".join(texts)
        if not text.strip():
            raise BadRequest("there is no text to speak; send an item with input_text", param="input")
        body = self._updated({"audio": response.get("audio") or {}})
        reading = Reading(self.service, self.caller, body, self)
        reading.feed(text)
        reading.finish()
        self.waiting, self.said, self.label, self.response = [], "", "", f"resp_{token_hex(12)}"
        await self.send({"type": "response.created", "response": self._response("in_progress")})
        self.begin(reading)

    async def _cancel(self) -> None:
        if not self.speaking:
            raise BadRequest("no response is being spoken", code="response_cancel_not_active")
        await self.stop()
        await self.send({"type": "response.done", "response": self._response("cancelled")})

    async def told(self, reading: Reading, error: CosyrtError | None) -> None:
        """Say how the response ended."""
        if error is not None:
            failure = error_body(answer_to(error))["error"]
            await self.refuse(error)
            done = self._response("failed") | {"status_details": {"type": "failed", "error": failure}}
        else:
            part = {
                "response_id": self.response,
                "item_id": self._item,
                "output_index": 0,
                "content_index": 0,
            }
            await self.send({"type": "response.output_audio.done", **part})
            await self.send(
                {"type": "response.output_audio_transcript.done", **part, "transcript": self.said}
            )
            done = self._response("completed")
        await self.send({"type": "response.done", "response": done})

    # As the listener of its reading:

    async def sentence(self, number: int, text: str, output: Output) -> None:
        """Send the words before they are heard."""
        self.said, self.label = self.said + text, output.label.text
        await self._delta("response.output_audio_transcript.delta", text)

    async def audio(self, data: bytes) -> None:
        """Send audio in events that fit a frame; each has whole samples."""
        for start in range(0, len(data), MAX_PIECE):
            piece = base64.b64encode(data[start : start + MAX_PIECE]).decode("ascii")
            await self._delta("response.output_audio.delta", piece)

    async def sentence_done(self, number: int) -> None:
        """Take no notice: the API has no such event."""

    async def _delta(self, kind: str, delta: str) -> None:
        await self.send({"type": kind, **self._part(), "delta": delta})

    def _part(self) -> dict[str, Any]:
        """What of the response an event is about."""
        return {"response_id": self.response, "item_id": self._item, "output_index": 0, "content_index": 0}

    @property
    def _item(self) -> str:
        return self.response.replace("resp_", "item_")

    def _session(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.session",
            "type": "realtime",
            "model": self.model,
            "output_modalities": ["audio"],
            "audio": {
                "output": {
                    "format": {"type": "audio/pcm", "rate": PCM_HZ},
                    "voice": self.body.voice_name,
                    "speed": self.body.speed,
                }
            },
        }

    def _response(self, status: str) -> dict[str, Any]:
        content = [{"type": "output_audio", "transcript": self.said}]
        item = {"id": self._item, "type": "message", "role": "assistant", "content": content}
        return {
            "id": self.response,
            "object": "realtime.response",
            "status": status,
            "metadata": {KEY: self.label} if self.label else None,
            "output": [] if status == "in_progress" else [item | {"status": status}],
        }


def _table(event: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is an object, or nothing.

    Raises:
        BadRequest: it is something else.
    """
    value = event.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{name} is no object; send one", param=name)
    return value


def _id_of(item: dict[str, Any]) -> str:
    """The id that the client gave its item, or a new one.

    Raises:
        BadRequest: it is no string.
    """
    given = item.get("id")
    if given is not None and not isinstance(given, str):
        raise BadRequest("the id of an item is a string; send one, or none", param="item.id")
    return given or f"item_{token_hex(10)}"


def _texts(items: object) -> Iterator[str]:
    """The words of items that are to be spoken."""
    for item in items if isinstance(items, list) else []:
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]
