"""Reference audio in a request: bytes of the request alone, never an address or a path."""

from __future__ import annotations

import base64
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.service.errors import BadRequest
from cosyrt.service.references import recording_in
from tests.service.forms import post, recording
from tests.service.served import Served


@given(st.binary(max_size=100), st.sampled_from(["audio/wav", "audio/x-wav", "", "audio/ogg;codecs=opus"]))
def test_a_data_uri_is_its_bytes(data: bytes, kind: str) -> None:
    """Whatever media type it says."""
    assert recording_in(f"data:{kind};base64,{base64.b64encode(data).decode()}") == data


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing but an error of the request comes of a text."""
    try:
        recording_in(text)
    except BadRequest as error:
        assert error.param == "ref_audio"
    else:
        assert text.lower().startswith("data:")


def test_nothing_is_fetched(served: Served) -> None:
    """An address in a request is refused without a connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as sink:
        sink.setblocking(False)
        port = sink.getsockname()[1]
        answer = served.speak(ref_audio=f"http://127.0.0.1:{port}/a.wav")
        with pytest.raises(BlockingIOError):
            sink.accept()

    assert (answer.status, answer.error["param"]) == (400, "ref_audio")


def test_it_speaks_like_the_recording(served: Served) -> None:
    """A data URI and an uploaded file give the same voice, which is none of the model's."""
    uri = "data:audio/wav;base64," + base64.b64encode(recording()).decode()
    fields = {"ref_text": "Some words.", "response_format": "pcm", "input": "Hi."}
    by_uri = served.ask("POST", "/v1/audio/speech", {**fields, "ref_audio": uri})
    by_file = post(served, "/v1/audio/speech", ref_audio=recording(), **fields)

    assert (by_uri.status, by_file.status) == (200, 200), by_file.body[:300]
    assert by_uri.body == by_file.body != served.speak("Hi.", response_format="pcm").body


@pytest.mark.parametrize("seconds", [0.2, 31.0])
def test_a_recording_that_is_unfit(served: Served, seconds: float) -> None:
    """Too short and too long are errors of that field."""
    answer = post(served, "/v1/audio/speech", ref_audio=recording("flac", seconds), input="Hi.")

    assert (answer.status, answer.error["param"]) == (400, "ref_audio")
