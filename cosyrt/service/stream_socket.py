"""WebSocket /v1/audio/speech/stream: text comes in as it is written, audio goes out as it is made.

    → session.config   what /v1/audio/speech takes, without input
    → input.text {text}, input.flush, input.done, input.cancel, session.close
    ← audio.start {utterance_index, sentence_index, sentence_text, format, sample_rate}
    ← binary frames, audio.done, session.done {total_sentences}, session.cancelled, error

The binary frames of one utterance are one file. One socket serves many utterances, one after another.
"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket

from cosyrt.errors import CosyrtError
from cosyrt.service.errors import BadRequest
from cosyrt.service.output import Output
from cosyrt.service.reading import Reading
from cosyrt.service.sockets import Conversation, Event
from cosyrt.service.speech import check_model, recording_of
from cosyrt.service.wire import CAPTION_TYPES, SpeechBody, answer_to_fields

router = APIRouter(tags=["speech"])

NO_TEXT = "…"  # stands for the input that comes later


@router.websocket("/v1/audio/speech/stream")
async def stream_speech(socket: WebSocket) -> None:
    """Speak text that arrives on a socket."""
    await StreamSocket(socket).run()


class StreamSocket(Conversation):
    """One client that sends text and hears it."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        self.body = SpeechBody(input=NO_TEXT, response_format="pcm")
        self.recording: bytes | None = None  # of whom the voice is to sound like
        self.utterance = 0
        self.failed: Reading | None = None  # of whose text more may come, which nobody speaks

    async def on_event(self, event: Event) -> bool:
        """Take in text, or say how it is to be spoken.

        Raises:
            BadRequest: an event that is none, or that cannot be used now.
        """
        match event["type"]:
            case "session.config":
                self._configure(event)
            case "input.text":
                self._feed(event)
            case "input.flush" if self.reading is not None:
                self.reading.flush()
            case "input.done" if self.reading is not None:
                self.reading.finish()
            case "input.flush":
                pass
            case "input.done":
                await self._done(self.failed.sentences if self.failed else 0)
            case "input.cancel":
                await self.stop()
                self.failed = None
                await self.send({"type": "session.cancelled", "utterance_index": self.utterance})
                self.utterance += 1
            case "session.close":
                await self.stop()
                await self._close(1000, "")
                return False
            case other:
                raise BadRequest(f"there is no event {other[:40]!r}; see docs/service.md", param="type")
        return True

    def _configure(self, event: Event) -> None:
        if self.speaking:
            raise BadRequest("the session cannot be changed within an utterance; end it with input.done")
        try:
            body = SpeechBody.model_validate({"response_format": "pcm", **event, "input": NO_TEXT})
        except ValidationError as error:
            raise answer_to_fields(error) from error
        if body.response_format in CAPTION_TYPES:
            raise BadRequest("captions are no audio; ask for mp3, opus, aac, flac, wav or pcm")
        check_model(self.service, body.model)
        self.recording = recording_of(body)
        self.body = body

    def _feed(self, event: Event) -> None:
        text = event.get("text")
        if not isinstance(text, str):
            raise BadRequest('input.text has no text; send {"type": "input.text", "text": "…"}', param="text")
        if self.failed is not None:
            return
        if self.reading is None:
            if self.speaking:
                raise BadRequest("the last utterance is still spoken; wait for session.done, or cancel it")
            self.begin(Reading(self.service, self.caller, self.body, self, self.recording))
        assert self.reading is not None
        self.reading.feed(text)

    async def _done(self, sentences: int) -> None:
        """Say that an utterance is over, also one of which nothing was said."""
        self.failed = None
        await self.send(
            {"type": "session.done", "utterance_index": self.utterance, "total_sentences": sentences}
        )
        self.utterance += 1

    async def told(self, reading: Reading, error: CosyrtError | None) -> None:
        """Say how an utterance ended; one that failed is over when its text is."""
        if error is not None:
            await self.refuse(error)
            if not reading.finished:
                self.failed = reading
                return
        await self._done(reading.sentences)

    # As the listener of its reading:

    async def sentence(self, number: int, text: str, output: Output) -> None:
        """Announce a sentence."""
        await self.send(
            {
                "type": "audio.start",
                "utterance_index": self.utterance,
                "sentence_index": number,
                "sentence_text": text.strip(),
                "format": output.format,
                "sample_rate": output.hz,
                "label": output.label.text,
            }
        )

    async def audio(self, data: bytes) -> None:
        """Send the next bytes."""
        await self.socket.send_bytes(data)

    async def sentence_done(self, number: int) -> None:
        """Say that a sentence is over."""
        await self.send({"type": "audio.done", "utterance_index": self.utterance, "sentence_index": number})
