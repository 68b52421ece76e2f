"""POST /api/tts: the voice that an account has chosen speaks until it chooses another one."""

from __future__ import annotations

import io
import wave

from cosyrt.engine.pipeline import Pipeline
from tests.service.served import Served, serving


def test_the_chosen_voice_speaks(tiny: Pipeline) -> None:
    """A choice holds for /api/tts and for OpenAI's route where a request names no voice."""
    with serving(tiny) as served:
        assert served.ask("GET", "/api/speaker").json == {"speaker": None}
        before = served.speak("Hi.", response_format="pcm").body
        assert served.ask("PUT", "/api/speaker", {"speaker": "mei"}).json == {"speaker": "mei"}

        assert served.ask("GET", "/api/speakers").json["current"] == "mei"
        after = served.speak("Hi.", response_format="pcm").body
        assert after == served.speak("Hi.", response_format="pcm", voice="mei").body != before
        named = served.ask("POST", "/api/tts", {"text": "Hi.", "speaker": "ann", "format": "pcm"})
        assert named.body != after
        assert served.ask("PUT", "/api/speaker", {"speaker": None}).json == {"speaker": None}
        assert served.speak("Hi.", response_format="pcm").body == before


def test_a_whole_wav_with_its_rate_and_times(served: Served) -> None:
    """The headers say how many samples a second there are and how long it took."""
    answer = served.ask("POST", "/api/tts", {"text": "Hi."})

    with wave.open(io.BytesIO(answer.body)) as file:
        assert str(file.getframerate()) == answer.headers["x-audio-sample-rate"]
        assert file.getnframes() > 2_400
    assert answer.headers["server-timing"].startswith("first_audio;dur=")


def test_streamed_it_comes_in_parts(served: Served) -> None:
    """With `stream` the body is sent while it is made."""
    answer = served.ask("POST", "/api/tts", {"text": "Hi.", "stream": True})

    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.startswith(b"RIFF\xff\xff\xff\xff")


def test_a_text_that_is_none(served: Served) -> None:
    """An empty text and a format that is none are 400."""
    for body in ({"text": ""}, {"text": "Hi.", "format": "srt7"}, {}, []):
        assert served.ask("POST", "/api/tts", body).status == 400
