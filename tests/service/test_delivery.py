"""What happens to speech when its client leaves, does not read, or when the speech fails midway."""

from __future__ import annotations

import json
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import IncompleteRead
from typing import Any

import pytest
from torch import Tensor

from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from tests.service.served import Served, busy, serving, wait_until

LONG = "One two three four five six seven eight nine ten. " * 40
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"


@contextmanager
def asking(served: Served, **fields: Any) -> Iterator[socket.socket]:
    """A socket on which a request for speech was sent, and nothing is read by itself."""
    body = json.dumps({"input": LONG, "response_format": "pcm", **fields}).encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(HEAD % (len(body), body))
        yield raw


def ended(served: Served) -> dict[str, int]:
    """How many requests have ended in each way so far."""
    load = served.service.scheduler.load()
    return {"done": load.done, "failed": load.failed, "cancelled": load.cancelled}


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_a_client_that_leaves_frees_the_engine(served: Served, goodbye: str) -> None:
    """Whether it says goodbye or not, its request is cancelled in the middle of its speech."""
    before = ended(served)
    with asking(served) as raw:
        assert raw.recv(15) == b"HTTP/1.1 200 OK"
        if goodbye == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served.wait_idle()

    assert ended(served) == before | {"cancelled": before["cancelled"] + 1}


def test_a_client_that_leaves_while_it_waits(tiny: Pipeline) -> None:
    """A request in the queue is taken out of it."""
    with serving(tiny, max_active=1) as served, asking(served) as first:
        assert first.recv(15) == b"HTTP/1.1 200 OK"
        with asking(served):
            wait_until(lambda: served.service.scheduler.load().queued == 1)
        wait_until(lambda: served.service.scheduler.load().queued == 0)

        assert served.service.scheduler.load().active == 1
        assert ended(served)["cancelled"] == 1


def test_a_client_that_does_not_read_is_cut(tiny: Pipeline) -> None:
    """After the write timeout its connection is closed and its request is cancelled; others go on."""
    with serving(tiny, write_s=0.3) as served:
        body = json.dumps({"input": LONG, "response_format": "wav", "sample_rate": 48_000}).encode()
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            raw.connect(("127.0.0.1", served.port))
            head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(
                body
            )
            for connection in [raw]:
                connection.sendall(head + body)
            small_buffers(served)
            wait_until(lambda: busy(served.service))
            served.wait_idle()

        assert ended(served)["cancelled"] == 1
        assert served.speak().status == 200


def small_buffers(served: Served) -> None:
    """Let the sockets of the server hold little, so that a client need not leave megabytes unread."""
    wait_until(lambda: served.server.server_state.connections)
    for connection in list(served.server.server_state.connections):
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_048)


class Failing:
    """A stage that fails from its second call on."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.calls = stage, 0

    def __call__(self, *args: Any) -> Tensor:
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("the device is gone")
        return self.stage(*args)  # type: ignore[no-any-return]


def failing(pipeline: Pipeline) -> Pipeline:
    """The pipeline with a vocoder that fails after the first chunk."""
    stages = pipeline.model.stages
    return Pipeline(replace(pipeline.model, stages=stages.replacing(vocode=Failing(stages.vocode))))


def test_speech_that_fails_midway_never_looks_whole(tiny: Pipeline) -> None:
    """The connection ends without the last chunk of the body, and the next request is answered."""
    with serving(failing(tiny)) as served:
        served.service.frontend.model.stages.vocode.calls = 0  # those of the warm-up
        with (
            served.open("POST", "/v1/audio/speech", {"input": LONG, "response_format": "pcm"}) as response,
            pytest.raises(IncompleteRead) as cut,
        ):
            response.read()

        assert response.status == 200
        assert len(cut.value.partial) > 0
        assert ended(served)["failed"] >= 1
        assert served.ask("GET", "/health").status == 200


def test_speech_that_fails_at_once_is_an_error(tiny: Pipeline) -> None:
    """What fails before the first byte has a status and a body, without the words of our insides."""
    with serving(failing(tiny)) as served:
        served.service.frontend.model.stages.vocode.calls = 1
        answer = served.speak()

        assert (answer.status, answer.error["type"]) == (500, "server_error")
        assert answer.headers["x-should-retry"] == "false"
        assert "device is gone" not in answer.error["message"]


def test_a_request_without_audio_in_time_is_ended(tiny: Pipeline) -> None:
    """A client that would wait too long for its first audio is told so, and waits no longer."""
    with serving(tiny, max_active=1, first_audio_s=0.2) as served:
        with served.service.scheduler.submit(Request(text=LONG, streamed=True)):
            answer = served.speak()

        assert (answer.status, answer.error["code"]) == (504, "timeout")


def test_a_client_that_leaves_within_its_request(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Half a body and then nothing is no error of ours: one line in the log, without a traceback."""
    with caplog.at_level(logging.INFO):
        with socket.create_connection(("127.0.0.1", served.port)) as raw:
            raw.sendall(HEAD % (100, b"{"))
            wait_until(lambda: served.server.server_state.tasks)
        wait_until(lambda: any(record.getMessage() == "request" for record in caplog.records))

    assert not [record for record in caplog.records if record.exc_info]
