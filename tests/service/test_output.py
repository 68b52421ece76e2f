"""Bodies in parts, as they are made: what was sent stays true when the rest fails."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.errors import SpeechError
from cosyrt.labels import LabelSettings
from cosyrt.service.output import Output, as_events, encoded, whole

PART = Audio(np.full(2_205, 0.5, np.float32), 22_050)


def output(format: str, **fields: int | None) -> Output:
    """A form of audio of a model of 22,050 samples a second, as CosyVoice 1 is."""
    given = {"in_hz": 22_050, "sample_rate": None, **fields}
    return Output(format=format, label=LabelSettings().label(), **given)  # type: ignore[arg-type]


async def parts(count: int, error: Exception | None = None) -> AsyncGenerator[Audio, None]:
    """So many parts, then an error."""
    for _ in range(count):
        yield PART
    if error is not None:
        raise error


def collected(source: AsyncGenerator[bytes, None]) -> tuple[list[bytes], Exception | None]:
    """All parts of a body, and what ended it."""

    async def collect() -> tuple[list[bytes], Exception | None]:
        found = []
        try:
            async for part in source:
                found.append(part)
        except Exception as error:
            return found, error
        return found, None

    return asyncio.run(collect())


def test_samples_have_the_rate_that_players_take_for_granted() -> None:
    """Bare samples of any model are 24 kHz; a file keeps the model's rate; one that is asked for holds."""
    assert (output("pcm").hz, output("wav").hz, output("flac").hz) == (24_000, 22_050, 22_050)
    assert output("opus").hz == 24_000
    assert output("pcm", sample_rate=8_000).hz == 8_000
    body, _ = collected(encoded(parts(10), output("pcm")))
    assert len(b"".join(body)) == 2 * 24_000
    assert output("pcm").headers()["X-Audio-Sample-Rate"] == "24000"


def test_the_label_goes_with_every_form() -> None:
    """Headers carry the label where the format has no place for it, and where it has."""
    for format in ("pcm", "mp3"):
        assert "ContentProducer" in output(format).headers()["X-AIGC"]
    assert b"AIGC" in b"".join(collected(encoded(parts(2), output("mp3")))[0])


def test_a_whole_body_is_one_part() -> None:
    """Nothing of it is sent before its length is known."""
    body, error = collected(whole(parts(3), output("wav")))

    assert (len(body), error) == (1, None)
    assert int.from_bytes(body[0][4:8], "little") == len(body[0]) - 8


def test_an_error_is_an_event_once_events_were_sent() -> None:
    """A client that reads events is told why there are no more; the response is cut all the same."""
    failure = SpeechError("the models failed")
    events, error = collected(as_events(encoded(parts(2, failure), output("pcm")), dict))
    told = [json.loads(event.removeprefix(b"data: ")) for event in events]

    assert error is failure
    assert [event["type"] for event in told] == ["speech.audio.delta"] * 2 + ["speech.audio.error"]
    assert told[-1]["error"]["message"] == "the models failed"
    assert base64.b64decode(told[0]["audio"])
    assert collected(as_events(encoded(parts(0, failure), output("pcm")), dict)) == ([], failure)


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_a_body_that_is_left_stops_its_audio(stopped: int) -> None:
    """Closing a body closes what makes its audio, however far it has come."""
    closed = []

    async def audio() -> AsyncGenerator[Audio, None]:
        try:
            while True:
                yield PART
        finally:
            closed.append(True)

    async def leave() -> None:
        body = encoded(audio(), output("pcm"))
        for _ in range(stopped):
            await anext(body)
        await body.aclose()

    asyncio.run(leave())
    assert closed == [True] * (stopped > 0)
