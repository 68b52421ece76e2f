"""Bodies have a limit, counted as they arrive: a header may lie about it, or say nothing."""

from __future__ import annotations

import json
import socket

import pytest

from tests.service.served import Served
from tests.service.test_server import answered

HEAD = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_length_over_the_limit(served: Served, kind: str) -> None:
    """The answer comes before the body is sent."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(HEAD + f"Content-Type: {kind}\r\nContent-Length: 99000000\r\n\r\n".encode())
        head, _, body = answered(raw).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["error"]["code"] == "request_too_large"


def test_a_body_without_a_length(served: Served) -> None:
    """Chunks are counted: the one that is too many is the last that is read."""
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 5)
        assert answered(raw).startswith(b"HTTP/1.1 413 ")


def test_a_form_has_another_limit(served: Served) -> None:
    """A recording of a megabyte is read; what is in it is another matter."""
    body = b'--x\r\nContent-Disposition: form-data; name="ref_audio"; filename="a"\r\n\r\n' + b" " * 1_000_000
    body += b'\r\n--x\r\nContent-Disposition: form-data; name="input"\r\n\r\nHi.\r\n--x--\r\n'
    answer = served.ask("POST", "/v1/audio/speech", body, Content_Type="multipart/form-data; boundary=x")

    assert (answer.status, answer.error["param"]) == (400, "ref_audio")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"--y\r\nContent-Disposition: form-data\r\n\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 200 + b"--x--\r\n",
        b"--x\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    ],
    ids=["empty", "cut", "nameless", "another boundary", "many parts", "long header"],
)
def test_a_form_that_is_none(served: Served, body: bytes) -> None:
    """Whatever is in a form, it is read or refused."""
    answer = served.ask("POST", "/v1/audio/speech", body, Content_Type="multipart/form-data; boundary=x")

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
