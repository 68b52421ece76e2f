"""A real server on a free port, in a thread of the test's process, and a plain client for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from tempfile import TemporaryDirectory
from typing import Any

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.app import create_app
from cosyrt.service.server import Server, configured, listening
from cosyrt.service.settings import Settings
from cosyrt.service.start import Begin, opened_with, speaking_here
from cosyrt.service.state import Service

WAIT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body."""
        return dict(self.json["error"])


@dataclass(frozen=True)
class Served:
    """A running server."""

    service: Service
    server: Server
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def open(self, method: str, path: str, body: Any = None, **headers: str) -> Iterator[HTTPResponse]:
        """A response to be read in the block; at its end the connection is closed."""
        with opened(self.port, method, path, body, **headers) as response:
            yield response

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and read all of the answer."""
        return asked(self.port, method, path, body, **headers)

    def speak(self, text: str = "Hi.", **fields: Any) -> Answer:
        """Ask for speech."""
        return self.ask("POST", "/v1/audio/speech", {"input": text, **fields})

    def wait_idle(self) -> None:
        """Wait until nothing is admitted, queued or spoken.

        Raises:
            AssertionError: that took a minute.
        """
        wait_until(lambda: not self.service.admission.active and not busy(self.service))


@contextmanager
def opened(port: int, method: str, path: str, body: Any = None, **headers: str) -> Iterator[HTTPResponse]:
    """The response of a server on this machine, to be read in the block."""
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {} if raw is body else {"Content-Type": "application/json"}
    named = kind | {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection("127.0.0.1", port, timeout=WAIT_S)) as connection:
        connection.request(method, path, raw, named)
        with connection.getresponse() as response:
            yield response


def asked(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """All of the answer of a server on this machine.

    Raises:
        OSError, HTTPException: there is no whole answer.
    """
    with opened(port, method, path, body, **headers) as response:
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())


def busy(service: Service) -> int:
    """Requests that the scheduler has not let go of."""
    load = service.scheduler.load()
    return load.active + load.queued


def wait_until(holds: Any) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: that took a minute.
    """
    until = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


@contextmanager
def serving(pipeline: Pipeline, **settings: Any) -> Iterator[Served]:
    """Serve a loaded model until the end of the block."""
    with serving_with(partial(speaking_here, pipeline=pipeline), **settings) as each:
        yield each


@contextmanager
def serving_with(begin: Begin, **settings: Any) -> Iterator[Served]:
    """Serve what `begin` makes until the end of the block."""
    with TemporaryDirectory() as folder:
        yield from _serving(begin, Settings(**{"port": 0, "database": f"{folder}/service.db", **settings}))


def _serving(begin: Begin, chosen: Settings) -> Iterator[Served]:
    with opened_with(chosen, begin) as service, listening(chosen) as listener:
        port = listener.getsockname()[1]
        config = configured(create_app(service), chosen)
        server = Server(config, service.drain, lambda: service.admission.active, chosen.drain_s)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: not service.not_ready)
            yield Served(service, server, port)
        finally:
            server.should_exit = True
            thread.join(WAIT_S)
            assert not thread.is_alive()
