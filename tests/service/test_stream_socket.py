"""WebSocket /v1/audio/speech/stream: text in parts, audio of whole sentences, many utterances."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from tests.service.served import Served, serving, wait_until
from tests.service.test_speech import pcm

PATH = "/v1/audio/speech/stream"


@contextmanager
def connected(served: Served, path: str = PATH, **headers: str) -> Iterator[ClientConnection]:
    """A socket to the service."""
    url = f"ws://127.0.0.1:{served.port}{path}"
    with connect(url, additional_headers=headers, open_timeout=60, compression=None) as each:
        yield each


def send(client: ClientConnection, kind: str, **fields: Any) -> None:
    """Send one event."""
    client.send(json.dumps({"type": kind, **fields}))


def received(client: ClientConnection, until: str) -> tuple[list[dict[str, Any]], bytes]:
    """The events up to one of a kind, and the audio between them."""
    events, audio = list[dict[str, Any]](), b""
    while not events or events[-1]["type"] != until:
        message = client.recv(timeout=60)
        if isinstance(message, bytes):
            audio += message
        else:
            events.append(json.loads(message))
    return events, audio


def said(pipeline: Pipeline, *sentences: str, **fields: Any) -> bytes:
    """What the pipeline says, sentence by sentence."""
    requests = [Request(text=text, streamed=True, **fields) for text in sentences]
    return b"".join(pcm(Audio.join(pipeline.run(request)).samples) for request in requests)


def test_sentences_are_spoken_as_they_come(served: Served, tiny: Pipeline) -> None:
    """Text cut anywhere is spoken sentence by sentence, with the audio of each sentence spoken alone."""
    with connected(served) as client:
        send(client, "session.config", voice="ann", seed=5, response_format="pcm")
        for part in ("He", "llo. H", "ow are", " you"):
            send(client, "input.text", text=part)
        send(client, "input.done")
        events, audio = received(client, "session.done")

    starts = [event for event in events if event["type"] == "audio.start"]
    assert [event["sentence_text"] for event in starts] == ["Hello.", "How are you"]
    assert [event["type"] for event in events] == ["audio.start", "audio.done"] * 2 + ["session.done"]
    assert events[-1]["total_sentences"] == 2
    assert (starts[0]["format"], starts[0]["sample_rate"]) == ("pcm", 24_000)
    assert audio == said(tiny, "Hello. ", "How are you", voice="ann", seed=5)


def test_a_sentence_is_spoken_before_the_next_is_written(served: Served) -> None:
    """The first sentence is heard while the text goes on; a flush speaks what is not complete."""
    with connected(served) as client:
        send(client, "input.text", text="Hello. And th")
        _, first = received(client, "audio.done")
        send(client, "input.flush")
        events, second = received(client, "audio.done")
        send(client, "input.done")
        done, _ = received(client, "session.done")

    assert first and second
    assert events[0]["sentence_text"] == "And th"
    assert done[-1]["total_sentences"] == 2


def test_one_socket_many_utterances(served: Served) -> None:
    """After one utterance the next begins; each is a file of its own; nothing said is done at once."""
    with connected(served) as client:
        send(client, "session.config", response_format="mp3", voice={"id": "mei"})
        files = []
        for number in range(2):
            send(client, "input.text", text="Hi.")
            send(client, "input.done")
            events, audio = received(client, "session.done")
            files.append(audio)
            assert events[-1]["utterance_index"] == number
        send(client, "input.done")
        assert received(client, "session.done")[0][-1]["total_sentences"] == 0
        send(client, "session.close")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=60)

    for file in files:
        with av.open(io.BytesIO(file)) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) > 2_400


def test_a_cancel_stops_the_work(served: Served) -> None:
    """What was not spoken is not spoken any more, and the socket takes the next utterance."""
    with connected(served) as client:
        send(client, "input.text", text="One two three four five six. " * 100)
        received(client, "audio.start")
        send(client, "input.cancel")
        received(client, "session.cancelled")
        served.wait_idle()
        send(client, "input.text", text="Hi.")
        send(client, "input.done")
        events, _ = received(client, "session.done")

    assert events[-1]["total_sentences"] == 1


def test_a_client_that_leaves_frees_the_engine(served: Served) -> None:
    """Closing the socket cancels its utterance."""
    with connected(served) as client:
        send(client, "input.text", text="One two three four five six. " * 100)
        received(client, "audio.start")
    served.wait_idle()


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("{", None),
        ("[]", None),
        (b"\x00", None),
        ('{"type": "dance"}', "type"),
        ('{"type": "input.text"}', "text"),
        ('{"type": "session.config", "speed": 9}', "speed"),
        ('{"type": "session.config", "response_format": "srt"}', None),
        ('{"type": "session.config", "ref_audio": "/etc/passwd"}', "ref_audio"),
        (json.dumps({"type": "input.text", "text": "x" * 4_097}), "text"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_an_event(served: Served, message: str | bytes, param: str | None) -> None:
    """An error names its field, and the socket stays open."""
    with connected(served) as client:
        client.send(message)
        events, _ = received(client, "error")
        send(client, "input.done")

        assert events[-1]["error"]["param"] == param
        assert received(client, "session.done")


def test_an_unknown_voice_ends_the_utterance(served: Served) -> None:
    """The error comes before any audio, and the socket stays open."""
    with connected(served) as client:
        send(client, "session.config", voice="nobody")
        send(client, "input.text", text="Hi. ")
        send(client, "input.done")
        events, audio = received(client, "session.done")

    assert [event["type"] for event in events] == ["error", "session.done"]
    assert (events[0]["error"]["code"], audio) == ("voice_not_found", b"")


def test_the_rest_of_a_failed_text_is_not_spoken(served: Served) -> None:
    """One error and one end come of an utterance, however much of its text follows; the next one is heard."""
    with connected(served) as client:
        send(client, "session.config", voice="nobody")
        send(client, "input.text", text="Hi. And")
        received(client, "error")
        for part in (" more. And", " more."):
            send(client, "input.text", text=part)
        send(client, "input.flush")
        send(client, "input.done")
        events, audio = received(client, "session.done")
        send(client, "session.config", voice="ann")
        send(client, "input.text", text="Hi.")
        send(client, "input.done")
        after, heard = received(client, "session.done")

    assert ([event["type"] for event in events], audio) == (["session.done"], b"")
    assert [event["type"] for event in after] == ["audio.start", "audio.done", "session.done"]
    assert (after[-1]["utterance_index"], after[-1]["total_sentences"], bool(heard)) == (1, 1, True)


def test_silence_closes_the_socket(tiny: Pipeline) -> None:
    """A client that says nothing for long is let go; one that listens is not."""
    with serving(tiny, socket_idle_s=1) as served, connected(served) as client:
        send(client, "input.text", text="One two three four five six. " * 3)
        received(client, "audio.done")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                client.recv(timeout=60)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


def test_a_frame_that_is_too_long(served: Served) -> None:
    """Frames have a limit, whatever is in them."""
    with connected(served) as client, pytest.raises(ConnectionClosed) as closed:
        client.send("x" * 70_000)
        client.recv(timeout=60)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_page_of_others_is_not_let_in(served: Served) -> None:
    """The gate stands before sockets, too: a handshake of a foreign page is refused with a status."""
    with pytest.raises(InvalidStatus) as refused, connected(served, Origin="http://evil.example"):
        pass

    assert refused.value.response.status_code == 403


SENTENCES = 140


def test_a_client_that_does_not_read_is_cut(tiny: Pipeline) -> None:
    """After the write timeout the connection is closed, and no more of its text is spoken."""
    with serving(tiny, write_s=0.3) as served, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        raw.connect(("127.0.0.1", served.port))
        raw.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert b"101" in raw.recv(1_024)
        for connection in list(served.server.server_state.connections):
            own = connection.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_048)
        text = json.dumps(
            {"type": "input.text", "text": "One two three four five six. " * SENTENCES}
        ).encode()
        raw.sendall(bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text)  # mask 0
        wait_until(lambda: served.service.scheduler.load().active)
        served.wait_idle()

        load = served.service.scheduler.load()
        assert load.done + load.cancelled < SENTENCES, "all of it was spoken for nobody"
