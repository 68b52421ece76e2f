"""A text that arrives in parts on a socket, read aloud sentence by sentence while the rest is being written.

Each sentence is a request of its own, so that nobody waits for the writer; the audio of all of them is one
stream of bytes in the form that was asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from cosyrt.encoders import Encoder
from cosyrt.engine.request import Request
from cosyrt.service.callers import Caller
from cosyrt.service.errors import BadRequest
from cosyrt.service.figures import Figures
from cosyrt.service.output import Output
from cosyrt.service.speaking import admitted, speak_patiently
from cosyrt.service.speech import output_of, request_of, voice_of
from cosyrt.service.state import Service
from cosyrt.service.wire import SpeechBody
from cosyrt.text.normalize import is_speakable
from cosyrt.text.passages import PassageCutter


class Listener(Protocol):
    """Whoever hears a reading, told in this order."""

    async def sentence(self, number: int, text: str, output: Output) -> None:
        """A sentence begins."""

    async def audio(self, data: bytes) -> None:
        """The next bytes of the audio."""

    async def sentence_done(self, number: int) -> None:
        """All audio of a sentence was sent."""


class Reading:
    """One utterance of a socket, from its first words until it is finished or cancelled."""

    def __init__(
        self,
        service: Service,
        caller: Caller,
        body: SpeechBody,
        listener: Listener,
        recording: bytes | None = None,
    ) -> None:
        self.service, self.caller, self.body, self.listener = service, caller, body, listener
        self.recording = recording  # of whom it is to sound like
        self.sentences = 0  # that were begun
        self.audio_s = 0.0
        self.waits = True  # for text: nothing is being spoken
        self.finished = False  # no text follows
        self._characters = 0
        self._cutter = PassageCutter()
        self._passages: asyncio.Queue[str | None] = asyncio.Queue()

    def feed(self, text: str) -> None:
        """Take further text; sentences that it completes are spoken.

        Raises:
            BadRequest: the text has become too long.
        """
        self._characters += len(text)
        most = self.service.settings.max_text
        if self._characters > most:
            raise BadRequest(
                f"the text has more than {most} characters; begin another utterance", param="text"
            )
        self._queue(text, last=False)

    def flush(self) -> None:
        """Speak what has arrived, though the sentence may not be complete."""
        self._queue("", last=True)
        self._cutter = PassageCutter()

    def finish(self) -> None:
        """Speak the rest; no text follows."""
        self.flush()
        self.finished = True
        self._passages.put_nowait(None)

    def _queue(self, text: str, *, last: bool) -> None:
        for passage in self._cutter.feed(text, last=last):
            self._passages.put_nowait(passage.text)

    async def run(self) -> None:
        """Speak until all is said; being cancelled stops the work.

        Raises:
            CosyrtError: the text is refused, or its speech fails.
        """
        async with admitted(self.service, self.caller):
            output = output_of(self.service, self.body)
            encoder, request = output.encoder(), None
            while (text := await self._speakable()) is not None:
                if request is None:
                    voice = await voice_of(self.service, self.caller, self.body, text, self.recording)
                    request = request_of(self.service, self.body, text, voice)
                await self.listener.sentence(self.sentences, text, output)
                await self._speak(replace(request, text=text), encoder, output)
                await self.listener.sentence_done(self.sentences)
                self.sentences += 1
            if self.sentences:
                await self._send(await asyncio.to_thread(encoder.close))

    async def _speak(self, request: Request, encoder: Encoder, output: Output) -> None:
        """Speak one sentence; where the machine is busy, wait: the reading has begun."""
        figures = Figures(route="websocket", format=output.format, produce_id=output.label.produce_id)
        async with aclosing(speak_patiently(self.service, self.caller, request, figures)) as audio:
            async for part in audio:
                self.audio_s += part.seconds
                await self._send(await asyncio.to_thread(encoder.push, part.samples))

    async def _send(self, data: bytes) -> None:
        if data:
            await self.listener.audio(data)

    async def _speakable(self) -> str | None:
        """The next passage that has something to be heard; None after the last."""
        waiting = ""
        self.waits = self._passages.empty()
        while (passage := await self._passages.get()) is not None:
            waiting += passage
            if is_speakable(waiting):
                self.waits = False
                return waiting
        return None
