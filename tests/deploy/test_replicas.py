"""Two replicas behind nginx with one PostgreSQL: restarted one by one, killed, and with shared keys."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.deploy.balancer import Replica, balanced
from tests.service.postgres import PostgresServer, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed (Debian: nginx-light)"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
TEXT = "One after the other they are restarted."
CALLERS = 3


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The database that both replicas share."""
    server = PostgresServer()
    yield server.url()
    server.stop()


@pytest.fixture(scope="module")
def replicas(
    tiny_folder: Path, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Replica]]:
    """Two replicas of the tiny model, ready."""
    folder = tmp_path_factory.mktemp("replicas")
    made = [Replica(tiny_folder, database, folder / f"{name}.log") for name in ("one", "two")]
    for replica in made:
        replica.wait_ready()
    yield made
    for replica in made:
        replica.kill()


@pytest.fixture
def front(replicas: list[Replica], tmp_path: Path) -> Iterator[int]:
    """The port of nginx before both."""
    with balanced(tmp_path, replicas) as port:
        yield port


def spoken(port: int, key: str = "", text: str = TEXT) -> tuple[int, int]:
    """Ask for speech: the status, and the bytes of a whole answer.

    Raises:
        HTTPException, OSError: the answer was not whole, or there was none.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"input": text, "response_format": "pcm"})
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request("POST", "/v1/audio/speech", body, headers)
        answer = connection.getresponse()
        return answer.status, len(answer.read())
    finally:
        connection.close()


def test_a_rolling_restart_fails_no_request(front: int, replicas: list[Replica]) -> None:
    """Callers ask without a pause while each replica is stopped and started: all answers are whole speech."""
    over = threading.Event()

    def call() -> list[tuple[int, int]]:
        answers = []
        while not over.is_set():
            answers.append(spoken(front))
        return answers

    with ThreadPoolExecutor(CALLERS) as pool:
        calling = [pool.submit(call) for _ in range(CALLERS)]
        for replica in replicas:
            assert replica.stop() == 0
            replica.start()
            replica.wait_ready()
        over.set()
        answers = [answer for future in calling for answer in future.result()]

    assert len(answers) > 2 * CALLERS
    assert {status for status, _ in answers} == {200}
    assert len({size for _, size in answers}) == 1, "one text and one seed are one length"


def test_a_replica_that_dies_takes_only_its_own_streams(front: int, replicas: list[Replica]) -> None:
    """A stream that was cut is seen to be; new requests go to the other replica at once."""
    long = " ".join([TEXT] * 8)

    def call(number: int) -> str:
        try:
            status, _ = spoken(front, text=long)
        except (HTTPException, OSError):
            return "cut"
        return str(status)

    with ThreadPoolExecutor(4) as pool:
        calling = [pool.submit(call, number) for number in range(4)]
        time.sleep(1.0)
        replicas[0].kill()
        after = [spoken(front)[0] for _ in range(3)]
        found = [future.result() for future in calling]
    replicas[0].start()
    replicas[0].wait_ready()

    assert after == [200, 200, 200]
    assert set(found) <= {"cut", "200"} and "200" in found


def test_keys_hold_at_every_replica(front: int, replicas: list[Replica], database: str) -> None:
    """A key made on the command line opens both; revoked, it opens neither."""

    def keys(*arguments: str) -> str:
        command = [sys.executable, "-m", "cosyrt", "keys", *arguments, "--database", database]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    made = json.loads(keys("add", "ann", "--json"))
    key = str(made["key"])
    try:
        for port in (front, *(replica.port for replica in replicas)):
            wait_for(lambda port=port: spoken(port, "")[0] == 401)
            assert spoken(port, key)[0] == 200
    finally:
        keys("revoke", str(made["id"]))
    for replica in replicas:
        wait_for(lambda port=replica.port: spoken(port, key)[0] in (200, 401) and spoken(port, key)[0] == 401)


def wait_for(condition: object, seconds: float = 40.0) -> None:
    """Wait until something holds: caches may be that old."""
    assert callable(condition)
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.5)
