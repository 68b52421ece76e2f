"""The process and its connections: how it ends, and what it does to clients that are slow or rude."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close, CloseCode

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from cosyrt.service.server import listening
from cosyrt.service.settings import Settings
from tests.service.served import Served, serving, wait_until
from tests.service.test_delivery import HEAD, LONG, asking
from tests.service.test_stream_socket import connected, received, send

REQUEST = {"input": "One two three four five six.", "response_format": "pcm"}


def answered(raw: socket.socket) -> bytes:
    """All that comes until the server closes the connection, however it does."""
    received = b""
    with suppress(ConnectionResetError):  # it had closed before all that was sent had come
        while data := raw.recv(65_536):
            received += data
    return received


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_sigterm_ends_the_process_with_zero_after_its_streams(tmp_path: Path) -> None:
    """What is being spoken is finished, nothing new is taken, and the exit code is 0."""
    command = [sys.executable, "-m", "cosyrt", "serve", "--port", "0"]
    environment = os.environ | {"COSYRT_SERVE_DATABASE": str(tmp_path / "service.db")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        first = next(line for line in process.stderr if line.startswith("address"))
        port = int(re.search(r"address +http://127\.0\.0\.1:(\d+)$", first)[1])  # type: ignore[index]
        speaking = HTTPConnection("127.0.0.1", port, timeout=60)
        speaking.request("POST", "/v1/audio/speech", b'{"input": "It speaks, then it goes."}')
        response = speaking.getresponse()
        process.send_signal(signal.SIGTERM)
        body = response.read()  # IncompleteRead, were it cut
        speaking.close()
        rest = process.stderr.read()

    assert response.status == 200
    assert len(body) > 1_000
    assert process.returncode == 0
    assert "Traceback" not in rest


def test_a_service_that_ends_says_so(tiny: Pipeline) -> None:
    """While it drains it is not ready, and new requests are told when to come back."""
    with serving(tiny, drain_s=30) as served, asking(served) as raw:
        assert raw.recv(15) == b"HTTP/1.1 200 OK"
        served.server.should_exit = True
        wait_until(lambda: served.service.not_ready)
        ready, refused = served.ask("GET", "/ready"), served.speak()

        assert (ready.status, ready.json["reason"]) == (503, "the service is being stopped")
        assert (refused.status, refused.headers["retry-after"]) == (503, "10")


def test_speech_that_outlives_the_drain_is_cut(tiny: Pipeline) -> None:
    """After the time for draining the body ends without its last chunk."""
    fields = {"input": LONG, "response_format": "pcm"}
    with serving(tiny, drain_s=0.0) as served, served.open("POST", "/v1/audio/speech", fields) as response:
        served.server.should_exit = True
        with pytest.raises(IncompleteRead):
            response.read()


@pytest.mark.parametrize("part", [b"POST /v1/audio/speech HT", HEAD % (9, b"{")])
def test_a_request_must_arrive_in_time(tiny: Pipeline, part: bytes) -> None:
    """A client that stops in its headers or its body is told so, and disconnected."""
    with (
        serving(tiny, receive_s=0.2) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw,
    ):
        raw.sendall(part)
        assert answered(raw).startswith(b"HTTP/1.1 408 ")


def test_a_slow_request_does_not_hurt_others(tiny: Pipeline) -> None:
    """While one client dawdles, another is answered; a connection is used again after an answer."""
    with (
        serving(tiny, receive_s=5) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw,
    ):
        raw.sendall(b"GET /health HTTP/1.1\r\nHo")
        assert served.ask("GET", "/health").status == 200
        raw.sendall(b"st: localhost\r\n\r\n")
        first = b""
        while not first.endswith(b"}"):
            first += raw.recv(65_536)
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200 OK")
        assert answered(raw).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000,  # and no end
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["no request", "no host", "negative length", "endless header", "no chunk"],
)
def test_what_is_no_http_is_refused(
    served: Served, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no request get a 4xx and the connection is closed; the log gets no error of it."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(request_)
        answer = answered(raw)
    assert answer.startswith(b"HTTP/1.1 4") or (answer == b"" and len(request_) > 16_384)
    assert served.ask("GET", "/health").status == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_port_that_is_taken() -> None:
    """The error names the port and what to do."""
    with listening(Settings(port=0)) as first, pytest.raises(UsageError, match="choose another --port"):
        listening(Settings(port=first.getsockname()[1]))


def test_an_address_that_is_none() -> None:
    """A host that this machine does not have is one line."""
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1 port"):
        listening(Settings(host="192.0.2.1", port=0))


def test_the_clock_of_a_request_stops_at_an_upgrade(tiny: Pipeline) -> None:
    """A WebSocket lives longer than a request may take to arrive."""
    with serving(tiny, receive_s=0.2) as served, connected(served) as client:
        time.sleep(0.5)
        send(client, "input.text", text="Hi.")
        send(client, "input.done")

        assert received(client, "session.done")[0][-1]["total_sentences"] == 1


def test_a_text_that_is_no_utf8_closes_the_socket(tiny: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told its mistake, whole or in fragments; the log takes it for no exception."""
    with serving(tiny) as served:
        for message in (b"\xff\xfe", [b'{"type', b"\xff\xfe"]):
            with connected(served) as client, pytest.raises(ConnectionClosed) as closed:
                client.send(message, text=True)
                client.recv(timeout=60)
            assert closed.value.rcvd == Close(CloseCode.INVALID_DATA, "a text frame holds UTF-8")

    assert not [record for record in caplog.records if record.exc_info]


def test_connections_over_the_limit_are_told(tiny: Pipeline) -> None:
    """A connection too many gets a 503 that says when to come back, whether it asks or wants a socket."""
    with (
        serving(tiny, max_sockets=1) as served,
        socket.create_connection(("127.0.0.1", served.port)) as first,
    ):
        wait_until(lambda: served.server.server_state.connections)
        answer = served.ask("GET", "/health")
        with pytest.raises(InvalidStatus) as refused, connected(served):
            pass
        first.close()
        wait_until(lambda: served.ask("GET", "/health").status == 200)

    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")
    assert refused.value.response.status_code == 503
