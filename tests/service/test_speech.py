"""POST /v1/audio/speech as clients see it: every format, every field, and errors before the first byte."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import av
import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.formats import FORMATS
from tests.service.served import Served, serving

TEXT = "Hi there."


def pcm(samples: np.ndarray) -> bytes:
    """Samples as the service sends them."""
    return np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def spoken(pipeline: Pipeline, text: str = TEXT, **fields: Any) -> Audio:
    """What the pipeline says by itself."""
    return Audio.join(pipeline.run(Request(text=text, streamed=True, **fields)))


def test_pcm_is_what_the_pipeline_says(served: Served, tiny: Pipeline) -> None:
    """The body has every sample of the same request spoken alone, 16 bits at 24 kHz, in chunks."""
    answer = served.speak(TEXT, response_format="pcm", seed=3, voice="ann")

    assert answer.status == 200
    assert answer.headers["content-type"] == "audio/pcm"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["x-audio-sample-rate"] == "24000"
    assert answer.body == pcm(spoken(tiny, voice="ann", seed=3).samples)


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_each_format_decodes_to_the_speech(served: Served, tiny: Pipeline, format: str) -> None:
    """A body is audio of the length of the speech, with the media type of its format."""
    answer = served.speak(TEXT, response_format=format)
    with av.open(io.BytesIO(answer.body)) as file:
        heard_s = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))

    assert answer.headers["content-type"] == FORMATS[format].media_type
    assert answer.headers["content-disposition"] == f"attachment; filename=speech.{format}"
    assert heard_s == pytest.approx(spoken(tiny).seconds, abs=0.15)  # codecs pad to whole frames


def test_mp3_is_the_default(served: Served) -> None:
    """A client that names no format gets mp3, and one that names no voice is spoken to all the same."""
    assert served.speak().headers["content-type"] == "audio/mpeg"


def test_a_whole_wav_says_how_long_it_is(served: Served) -> None:
    """Without streaming the header is true, so that Python's own reader can read it."""
    answer = served.speak(TEXT, response_format="wav", stream=False)

    with wave.open(io.BytesIO(answer.body)) as file:
        assert file.getnframes() * 2 + file.tell() <= len(answer.body)
        assert len(file.readframes(file.getnframes())) == file.getnframes() * 2 > 0


def test_events_carry_the_bytes_of_the_body(served: Served) -> None:
    """Server-sent events join to what a plain body has, and the last of them counts tokens."""
    plain = served.speak(TEXT, response_format="pcm")
    answer = served.speak(TEXT, response_format="pcm", stream_format="sse")
    lines = [line for line in answer.body.decode().split("\n\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == plain.body
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["total_tokens"] > events[-1]["usage"]["input_tokens"] > 0


@pytest.mark.parametrize(
    ("format", "start"), [("srt", "1\n00:00:00,000 --> "), ("vtt", "WEBVTT\n\n00:00:00.000 --> ")]
)
def test_captions_are_a_format(served: Served, format: str, start: str) -> None:
    """Captions name each piece with its time."""
    body = served.speak("Hello. Bye.", response_format=format).body.decode()

    assert body.startswith(start)
    assert body.index("Hello.") < body.index("Bye.")


def test_captions_end_with_the_speech(served: Served) -> None:
    """The last piece ends when the speech of the same request does."""
    text = "Hello. Bye."
    told = served.speak(text, response_format="json").json
    heard = Audio.read(served.speak(text, response_format="wav", stream=False).body)

    assert [each["text"] for each in told["segments"]] == ["Hello.", "Bye."]
    assert told["segments"][0]["end"] == told["segments"][1]["start"]
    assert told["duration"] == pytest.approx(heard.seconds, abs=0.001)


@pytest.mark.parametrize("voice", ["mei", {"id": "mei"}])
def test_a_voice_is_a_name_or_an_object(served: Served, tiny: Pipeline, voice: object) -> None:
    """Both forms speak with that voice."""
    answer = served.speak(TEXT, voice=voice, response_format="pcm")

    assert answer.body == pcm(spoken(tiny, voice="mei").samples)


def test_speed_and_rate_are_followed(served: Served) -> None:
    """Twice as fast is half as long, another rate has as many more samples; 0.25 and 4 are allowed."""
    plain = len(served.speak(TEXT, response_format="pcm").body)
    fast = len(served.speak(TEXT, response_format="pcm", speed=2).body)
    wide = len(served.speak(TEXT, response_format="pcm", sample_rate=48_000).body)

    assert fast == pytest.approx(plain / 2, rel=0.05)
    assert wide == pytest.approx(plain * 2, rel=0.01)
    assert [served.speak(speed=speed).status for speed in (0.25, 4.0)] == [200, 200]


@pytest.mark.parametrize("unset", [None, "", "None"])
def test_instructions_that_are_none(served: Served, unset: object) -> None:
    """What clients send where nobody has set instructions is not spoken and not said to be ignored."""
    answer = served.speak(TEXT, instructions=unset, response_format="pcm")

    assert "x-ignored-fields" not in answer.headers
    assert answer.body == served.speak(TEXT, response_format="pcm").body


def test_unknown_fields_are_accepted(served: Served) -> None:
    """Clients send fields of other servers; OpenAI's models are answered by the one that is here."""
    assert served.speak(model="gpt-4o-mini-tts", lang_code="a", normalization_options={}).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": "…"}, 400, "input"),
        ({"input": 7}, 400, "input"),
        ({"input": "x" * 4_097}, 400, "input"),
        ({"speed": 4.01}, 400, "speed"),
        ({"speed": "fast"}, 400, "speed"),
        ({"response_format": "ogg7"}, 400, "response_format"),
        ({"stream_format": "ws"}, 400, "stream_format"),
        ({"voice": "nobody"}, 404, "voice"),
        ({"voice": {"id": "../../etc/passwd"}}, 404, "voice"),
        ({"voice": ["ann"]}, 400, "voice"),
        ({"seed": -1}, 400, "seed"),
        ({"sample_rate": 7_999}, 400, "sample_rate"),
        ({"ref_audio": "/etc/passwd"}, 400, "ref_audio"),
        ({"ref_audio": "http://169.254.169.254/latest"}, 400, "ref_audio"),
        ({"ref_audio": "data:audio/wav;base64,!!!!"}, 400, "ref_audio"),
    ],
    ids=str,
)
def test_errors_come_before_the_first_byte(
    served: Served, fields: dict[str, Any], status: int, param: str
) -> None:
    """A field that cannot be used is named in OpenAI's error body."""
    answer = served.ask("POST", "/v1/audio/speech", {"input": TEXT, **fields})

    assert answer.status == status
    assert answer.error["param"] == param
    assert answer.error["type"] == {400: "invalid_request_error", 404: "not_found_error"}[status]
    assert "\n" not in answer.error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b'{"input": "\\ud800"}'])
def test_a_body_that_is_no_request(served: Served, body: bytes) -> None:
    """Anything that is not one JSON object is a 400."""
    answer = served.ask("POST", "/v1/audio/speech", body)

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


def test_json_that_is_called_a_form(served: Served) -> None:
    """`curl -d` sends JSON with the header of a form; it is read as what it is."""
    kind = {"Content_Type": "application/x-www-form-urlencoded"}

    assert served.ask("POST", "/v1/audio/speech", b'{"input": "Hi."}', **kind).status == 200


def test_other_models_can_be_refused(tiny: Pipeline) -> None:
    """With the setting off a model of another name is a 404 that says which one is here."""
    with serving(tiny, other_models=False, name="mine") as served:
        answer = served.speak(model="theirs")

        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert "'mine'" in answer.error["message"]
        assert served.speak(model="tts-1").status == 200
