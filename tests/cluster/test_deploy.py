"""Two replicas by Ray Serve on this machine: killed, asked by many at once, left by clients, and stopped."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from importlib.util import find_spec

import pytest

from tests.cluster.served import Gateway, gateway
from tests.service.served import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed: pip install 'cosyrt[cluster]'"
    ),
]
TEXT = "The quick brown fox jumps over the lazy dog. It was not amused. "
ROOM = 2 * (3 + 1)  # requests that both replicas hold


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The built-in voice in two replicas of half a processor; each speaks three, and one waits."""
    limits = {"max_active": 3, "max_queue": 1, "replica_cpus": 0.5, "device": "cpu", "streams_per_key": 0}
    with gateway(tmp_path_factory.mktemp("cluster"), replicas=2, **limits) as each:
        yield each
        assert each.stop() == 0


def test_only_this_machine_reaches_it(served: Gateway) -> None:
    """All listen on loopback addresses alone, but for one port a replica, where Ray asks for the token."""
    import grpc

    reached = served.open_ports()
    assert len(reached) <= 2 and all(":ServeReplica:" in name for name in reached.values())
    for port in reached:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as refused:
                ask(b"", timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_killed_replica_takes_only_its_own_streams(served: Gateway) -> None:
    """The streams of the killed replica are cut, the others of six are whole; then both replicas are back."""
    whole = served.speak(TEXT * 4).size
    with ThreadPoolExecutor(6) as pool:
        speaking = [pool.submit(served.speak, TEXT * 4) for _ in range(6)]
        # A slow machine speaks one at a time in each replica, and lets the others wait.
        wait_until(lambda: served.figure("cosyrt_active") >= 2)
        time.sleep(1.0)  # until the second replica speaks, should both be of the first
        served.replicas()[0].kill()
        answers = [each.result() for each in speaking]

    outcomes = Counter(each.outcome for each in answers)
    assert outcomes["whole"] >= 1 and outcomes["cut"] >= 1 and sum(outcomes.values()) == 6
    # 504: on a slow machine the deadline of a stream that waits for the replica that is left may pass
    assert set(outcomes) <= {"whole", "cut", "503", "504"}
    assert {each.size for each in answers if each.outcome == "whole"} == {whole}
    assert "went away in piece" in served.log.read_text()
    served.wait_ready(2)


def test_without_a_replica_clients_are_told_when_to_come_back(served: Gateway) -> None:
    """Until one runs again every answer is a refusal with a time, or speech of one that is back already."""
    for each in served.replicas():
        each.kill()
    wait_until(lambda: served.figure("cosyrt_max_active") == 0)
    answers = []
    until = time.monotonic() + 120
    while not answers or answers[-1].outcome != "whole":
        assert time.monotonic() < until, answers
        answers.append(served.speak("Hi."))
        time.sleep(0.2)

    refused = [each for each in answers if each.outcome != "whole"]
    assert refused and all(each.outcome == "503" and int(each.retry_after) >= 1 for each in refused)
    served.wait_ready(2)


def test_sixteen_at_once(served: Gateway) -> None:
    """Every answer is speech, or a refusal with a time to come back; none hangs."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(served.speak, [TEXT] * 16))

    outcomes = Counter(each.outcome for each in answers)
    assert set(outcomes) <= {"whole", "503"} and outcomes["whole"] >= ROOM
    assert all(int(each.retry_after) >= 1 for each in answers if each.outcome == "503")


def test_a_client_that_leaves_frees_the_replica(served: Gateway) -> None:
    """Closing the connection cancels the work: nothing is being spoken soon after, and the audio stops."""
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        body = json.dumps({"input": TEXT * 30, "response_format": "pcm"})
        connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
        connection.getresponse().read(10_000)
    wait_until(lambda: served.figure("cosyrt_active") == 0)
    time.sleep(2.0)  # the figures of replicas are asked for once a second
    made = served.figure("cosyrt_made_audio_seconds_total")
    time.sleep(3.0)

    assert served.figure("cosyrt_made_audio_seconds_total") == made
