"""A PostgreSQL server for the tests: a cluster of its own in a temporary folder, on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

SETTINGS = "fsync=off\nmax_connections=60\nunix_socket_directories=''\nlog_min_messages=fatal\n"


def missing() -> str:
    """Why there can be no server here; empty where there can."""
    if os.name != "posix":
        return "PostgreSQL is started on POSIX systems only"
    if not _program("initdb"):
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and not _servant():
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return ""


class PostgresServer:
    """A running server; `url` makes a database of its own for each test."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cosyrt-postgres-"))
        self.data, self.port = self.folder / "data", free_port()
        self.user = _servant() if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        arguments = ["-D", self.data, "-U", "cosyrt", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale"]
        self._run("initdb", *arguments)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + f"port={self.port}\nlisten_addresses='127.0.0.1'\n")
        self.made = 0
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers; the processes of one that was killed end first."""
        command = ["pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "start"]
        for _ in range(100):
            if self._run(*command, check=False):
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Kill the server as a crash would, and wait until nobody listens."""
        process = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGKILL)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    break
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server and delete its folder."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self) -> str:
        """The URL of a new, empty database."""
        self.made += 1
        name = f"test_{self.made}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return f"postgresql://cosyrt@127.0.0.1:{self.port}/{name}"

    def admin(self) -> psycopg.Connection:
        """A connection to the server itself."""
        address = f"postgresql://cosyrt@127.0.0.1:{self.port}/postgres"
        return psycopg.connect(address, autocommit=True)

    def _run(self, program: str, *arguments: object, check: bool = True) -> bool:
        """Run a program of PostgreSQL and tell whether it succeeded."""
        command = [_program(program), *map(str, arguments)]
        quiet = subprocess.DEVNULL
        done = subprocess.run(command, check=check, user=self.user, stdout=quiet, stderr=quiet, cwd="/")
        return done.returncode == 0


def _program(name: str) -> str:
    """The path of a program of PostgreSQL; Debian does not put them where programs are looked for."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name) or ""


def _servant() -> str | None:
    """A user that is not root and owns nothing."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
