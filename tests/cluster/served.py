"""`cosyrt serve --cluster` as a real process on a private Ray cluster, and what a test does to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.service.postgres import free_port

START_S = 400.0  # on a machine that has other work, too


class Answer(NamedTuple):
    """What came back to one request."""

    outcome: str  # whole, cut, or the status of a refusal
    retry_after: str = ""
    size: int = 0


class Gateway:
    """One process of `cosyrt serve --cluster`, its replicas, and a plain client."""

    def __init__(self, folder: Path, *options: str, max_active: int, **settings: Any) -> None:
        self.max_active = max_active
        settings["max_active"] = max_active
        self.port, self.log = free_port(), folder / "gateway.log"
        chosen = {f"COSYRT_SERVE_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {**os.environ, **chosen, "OMP_NUM_THREADS": "1"}
        environment["COSYRT_SERVE_DATABASE"] = str(folder / "service.db")
        command = [sys.executable, "-m", "cosyrt", "serve", "--cluster", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_ready(self, replicas: int) -> None:
        """Wait until the gateway is warm and so many replicas answer it.

        Raises:
            AssertionError: the process ended, or that took minutes.
        """
        until = time.monotonic() + START_S
        room = replicas * self.max_active
        while not (self.is_ready() and self.figure("cosyrt_max_active") == room):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.2)

    def is_ready(self) -> bool:
        """Whether /ready answers 200."""
        try:
            return self.ask("GET", "/ready")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a whole answer."""
        raw = None if body is None else json.dumps(body)
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request(method, path, raw, {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                headers = {name.lower(): value for name, value in response.getheaders()}
                return response.status, headers, response.read()

    def speak(self, text: str) -> Answer:
        """Ask for speech, and say how it went."""
        try:
            status, headers, body = self.ask(
                "POST", "/v1/audio/speech", {"input": text, "response_format": "pcm"}
            )
        except (HTTPException, ConnectionError):
            return Answer("cut")
        if status == 200:
            return Answer("whole", size=len(body))
        return Answer(str(status), headers.get("retry-after", ""))

    def replicas(self) -> list[psutil.Process]:
        """The processes of the replicas; Ray names them so."""
        found = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if each.cmdline() and ":ServeReplica:" in each.cmdline()[0]:
                    found.append(each)
            except psutil.NoSuchProcess:
                continue
        return found

    def open_ports(self) -> dict[int, str]:
        """The ports at which another machine reaches the gateway or its cluster, and whose each is."""
        processes = [psutil.Process(self.process.pid)]
        processes += processes[0].children(recursive=True)
        found = {}
        for process in processes:
            try:
                connections, name = process.net_connections("tcp"), process.cmdline()[0]
            except psutil.NoSuchProcess:
                continue
            listening = [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]
            found |= {each.port: name for each in listening if not is_loopback(each.ip)}
        return found

    def figure(self, name: str) -> float:
        """A figure of /metrics."""
        page = self.ask("GET", "/metrics")[2].decode()
        return float(next(line.split()[1] for line in page.splitlines() if line.startswith(f"{name} ")))

    def stop(self) -> int:
        """End it as an operator does, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address, which may be one of IPv4 written as one of IPv6."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


@contextmanager
def gateway(folder: Path, *options: str, replicas: int, **settings: Any) -> Iterator[Gateway]:
    """A gateway with so many replicas until the end of the block."""
    started = Gateway(folder, *options, replicas=replicas, **settings)
    try:
        started.wait_ready(replicas)
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()
