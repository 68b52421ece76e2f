"""Audio of a request → the bytes that its client asked for, labelled, as they are made or all at once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from cosyrt.audio import Audio
from cosyrt.encoders import Encoder, encode
from cosyrt.errors import CosyrtError
from cosyrt.formats import format_named
from cosyrt.labels import Label
from cosyrt.service.wire import answer_to, error_body

PCM_HZ = 24_000  # what clients take bare samples for, whatever the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The form in which audio is sent."""

    format: str
    in_hz: int
    sample_rate: int | None  # that was asked for
    label: Label

    @property
    def hz(self) -> int:
        """Samples a second of what is sent."""
        asked = self.sample_rate or (PCM_HZ if self.format == "pcm" else self.in_hz)
        return format_named(self.format).rate_for(asked)

    @property
    def media_type(self) -> str:
        """The media type of a body of that format; of bare samples it says what they are."""
        return format_named(self.format).media_type

    def encoder(self) -> Encoder:
        """An encoder for a body that is sent while it is made.

        Raises:
            AudioError: the format cannot have that rate.
        """
        return Encoder(self.format, self.in_hz, out_rate=self.hz, label=self.label)

    def headers(self) -> Mapping[str, str]:
        """What a client needs to know about the body, and its label."""
        return {
            "Content-Disposition": f"attachment; filename=speech.{self.format}",
            "X-Audio-Sample-Rate": str(self.hz),
            "X-Audio-Channels": "1",
            **({"X-Audio-Encoding": "pcm_s16le"} if self.format == "pcm" else {}),
            **self.label.headers,
        }


async def encoded(audio: AsyncGenerator[Audio, None], output: Output) -> AsyncGenerator[bytes, None]:
    """The bytes of a body as its audio is made; never an empty part."""
    encoder = output.encoder()
    async with aclosing(audio) as parts:
        async for part in parts:
            if data := await asyncio.to_thread(encoder.push, part.samples):
                yield data
        if data := await asyncio.to_thread(encoder.close):
            yield data


async def whole(audio: AsyncGenerator[Audio, None], output: Output) -> AsyncGenerator[bytes, None]:
    """The bytes of a whole file, in one part: its header says how long it is."""
    async with aclosing(audio) as parts:
        joined = Audio.join([part async for part in parts])
    yield await asyncio.to_thread(
        encode, joined.samples, joined.rate, output.format, out_rate=output.hz, label=output.label
    )


async def as_events(parts: AsyncIterator[bytes], usage: Any) -> AsyncGenerator[bytes, None]:
    """Server-sent events of the bytes of a body; `usage` is called for the last of them."""
    sent = False
    try:
        async for part in parts:
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode("ascii")})
            sent = True
    except CosyrtError as error:
        if sent:  # else the response has a status for it
            yield _event({"type": "speech.audio.error", **error_body(answer_to(error))})
        raise
    yield _event({"type": "speech.audio.done", "usage": usage()})


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
