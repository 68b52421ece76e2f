"""Services to be loaded and killed: real processes of `cosyrt serve`, forked from one that has it in memory.

A fork has loaded the model already, so that hundreds of lives take minutes. From there on all is real: the
settings, the database, the port, signals. `tests/service/test_server.py` starts the program itself.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from http.client import HTTPException
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scores import client
from benchmarks.scores.faults import Fault, Trigger, faulty
from tests.service.served import Answer

if TYPE_CHECKING:
    from cosyrt.service.state import Service

READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What is special about a life, beside its settings."""

    fault: Fault | None = None  # of a stage of the model
    paced: bool = False  # the model is replaced by a clock
    limits: dict[int, int] = field(default_factory=dict)  # of the system, by the number of the resource


class Life:
    """One running service, and a client for it."""

    def __init__(self, process: BaseProcess, port: int, trigger: Trigger | None, log: Path) -> None:
        self.process, self.port, self.trigger, self.log = process, port, trigger, log

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self.process.pid is not None
        return self.process.pid

    def ask(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> Answer:
        """Send a request and read all of the answer.

        Raises:
            OSError, HTTPException: there is no whole answer.
        """
        return client.ask(self.port, method, path, body, key, **headers)

    def post(self, path: str, key: str = "", again: str = "", **fields: str | bytes) -> Answer:
        """Send a form, under an Idempotency-Key where one is given."""
        return client.post(self.port, path, key, again, **fields)

    def speak(self, text: str = "It speaks.", key: str = "", **fields: Any) -> Answer:
        """Ask for speech, as bare samples unless another format is given."""
        body = {"input": text, "response_format": "pcm", **fields}
        return self.ask("POST", "/v1/audio/speech", body, key)

    def state(self) -> dict[str, Any]:
        """What `/ready` says."""
        return dict(self.ask("GET", "/ready").json)

    def wait_idle(self, wait_s: float = READY_S) -> bool:
        """Wait until nothing is spoken or queued; whether that came in time."""
        return self.wait(lambda: not (state := self.state())["active"] and not state["queued"], wait_s)

    def wait(self, holds: Any, wait_s: float = READY_S) -> bool:
        """Wait until something holds; whether that came in time."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            if holds():
                return True
            time.sleep(0.002)
        return False

    def kill(self) -> None:
        """End the process as a crash does."""
        self.process.kill()
        self.process.join()

    def terminate(self, wait_s: float = READY_S) -> int | None:
        """Ask the process to end; its exit code, None if it does not end in time."""
        self.process.terminate()
        self.process.join(wait_s)
        return self.process.exitcode

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        import psutil

        return int(psutil.Process(self.pid).memory_info().rss)


class Lives:
    """Starts services; they share a folder, and end with the block at the latest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("COSYRT_VOICES", "COSYRT_PLANS"):  # nothing of whoever runs this is used or changed
            os.environ[name] = str(folder / name.lower())
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmarks.scores.loaded"])
        self._running: list[BaseProcess] = []
        self._count = 0

    def sqlite(self) -> str:
        """The path of a new SQLite database."""
        self._count += 1
        folder = self.folder / f"database-{self._count}"
        folder.mkdir()
        return str(folder / "service.db")

    def begin(self, nature: Nature = Nature(), **settings: Any) -> Life:
        """Start a service and wait until it is ready.

        Raises:
            RuntimeError: it does not become ready; the message has the end of its log.
        """
        settings = {"port": 0, "database": "", **settings}
        settings["database"] = settings["database"] or self.sqlite()
        self._count += 1
        log = self.folder / f"life-{self._count}.log"
        ours, theirs = self.pipe()
        trigger = Trigger(self._context) if nature.fault else None
        process = self._context.Process(
            target=live, args=(settings, asdict_of(nature), trigger, theirs, str(log)), daemon=True
        )
        process.start()
        theirs.close()
        self._running.append(process)
        try:
            port = ours.recv()
        except EOFError:
            process.join(1)
            raise RuntimeError(f"the service ended: {log.read_text()[-500:]}") from None
        life = Life(process, port, trigger, log)
        if not life.wait(lambda: is_ready(life)):
            raise RuntimeError(f"the service is not ready: {log.read_text()[-500:]}")
        return life

    @contextmanager
    def one(self, nature: Nature = Nature(), **settings: Any) -> Iterator[Life]:
        """A service for the block."""
        life = self.begin(nature, **settings)
        try:
            yield life
        finally:
            life.kill()

    def pipe(self) -> tuple[Connection, Connection]:
        """Two ends of a pipe, to read and to write, for a process that is started next."""
        return self._context.Pipe(duplex=False)

    def run(self, target: Any, *arguments: Any) -> BaseProcess:
        """Start another process from the same one, which has all in memory."""
        process = self._context.Process(target=target, args=arguments, daemon=True)
        process.start()
        self._running.append(process)
        return process

    def call(self, function: Any, *arguments: Any) -> Any:
        """What a function returns in a process of its own.

        Raises:
            ChildProcessError: the process ended before that.
        """
        ours, theirs = self.pipe()
        process = self.run(answer, function, arguments, theirs)
        theirs.close()
        try:
            return ours.recv()
        except EOFError:
            process.join()
            raise ChildProcessError(f"{function.__name__} ended with {process.exitcode}") from None
        finally:
            process.join()

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self._running:
            with suppress(ValueError):
                process.kill()
                process.join()


def asdict_of(nature: Nature) -> dict[str, Any]:
    """A description of what is special, as plain values: other processes get no code."""
    return json.loads(json.dumps(asdict(nature)))


def is_ready(life: Life) -> bool:
    """Whether a service answers that it is ready."""
    try:
        return life.ask("GET", "/ready").status == 200
    except (OSError, HTTPException):
        return not life.process.is_alive()


# In the new process:


def answer(function: Any, arguments: tuple[Any, ...], out: Connection) -> None:
    """Send what a function returns."""
    out.send(function(*arguments))
    out.close()


def live(
    settings: dict[str, Any], nature: dict[str, Any], trigger: Trigger | None, port: Connection, log: str
) -> None:
    """Serve until a signal comes."""
    from benchmarks.scores.loaded import pipeline
    from benchmarks.scores.paced import pace
    from cosyrt.service.request_log import log_as
    from cosyrt.service.settings import Settings
    from cosyrt.service.start import serve, speaking_here

    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log_as("text")
    for number, most in nature["limits"].items():
        resource.setrlimit(int(number), (most, most))
    model = pipeline()
    if nature["fault"] is not None:
        assert trigger is not None
        model = faulty(model, Fault(**nature["fault"]), trigger)

    def announce(service: Service, address: str) -> None:
        if nature["paced"]:
            pace(service)
        port.send(int(address.rpartition(":")[2]))
        port.close()

    serve(Settings(**settings), announce, partial(speaking_here, pipeline=model))
