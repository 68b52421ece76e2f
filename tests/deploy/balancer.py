"""nginx with the file of deploy/, and replicas of the service behind it, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.service.postgres import free_port

FILE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
START_S = 120.0
MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/cosyrt.conf;
}}
"""


def configuration(folder: Path, front: int, one: int, two: int) -> Path:
    """Write the file of deploy/ for these ports, and a main file that includes it."""
    text = FILE.read_text()
    for written, port in (
        ("listen 8080", f"listen 127.0.0.1:{front}"),
        (":8001", f":{one}"),
        (":8002", f":{two}"),
    ):
        assert written in text
        text = text.replace(written, port)
    (folder / "cosyrt.conf").write_text(text)
    path = folder / "nginx.conf"
    path.write_text(MAIN.format(folder=folder))
    return path


class Replica:
    """One process of `cosyrt serve`, which can be stopped, killed and started again on its port."""

    def __init__(self, model: Path, database: str, log: Path) -> None:
        self.port, self.log = free_port(), log
        self.command = [sys.executable, "-m", "cosyrt", "serve", "--port", str(self.port), "--device", "cpu"]
        self.command += ["--model", str(model)]
        self.environment = {**os.environ, "COSYRT_SERVE_DATABASE": database, "OMP_NUM_THREADS": "1"}
        self.start()

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Wait until it is warm."""
        begin = time.monotonic()
        while not is_ready(self.port):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - begin < START_S, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> int:
        """Stop it as an operator does, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """Kill it as a crash would."""
        self.process.kill()
        self.process.wait(60)


def is_ready(port: int) -> bool:
    """Whether /ready answers 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def balanced(folder: Path, replicas: list[Replica]) -> Iterator[int]:
    """Run nginx before two replicas, and give its port."""
    front = free_port()
    path = configuration(folder, front, *(replica.port for replica in replicas))
    process = subprocess.Popen(["nginx", "-c", path, "-p", folder])
    try:
        while not is_ready(front):
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield front
    finally:
        process.terminate()
        process.wait(10)
