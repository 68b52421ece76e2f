"""Faults of a process, of its model and of its clients."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPException, IncompleteRead

from benchmarks.scores.client import HOST, hear, request
from benchmarks.scores.faults import Fault
from benchmarks.scores.lives import Life, Lives, Nature
from tests.service.forms import recording

LONG = "One sentence comes after another, and none of them is short. " * 8
WORDS = "One two three four five six seven."
VOICES = "/v1/audio/voices"


def why(*holds: tuple[object, str]) -> str:
    """The first thing that does not hold."""
    return next((otherwise for each, otherwise in holds if not each), "")


def killed(lives: Lives, number: int) -> str:
    """Kill the process in the middle of a stream: the client can tell, and the next process serves."""
    database = lives.sqlite()
    life = lives.begin(database=database)
    made = life.ask("PUT", "/api/speaker", {"speaker": "tom"}).status
    whole = asyncio.run(_killed_while(life, number))
    life.process.join()
    with lives.one(database=database) as again:
        current = again.ask("GET", "/api/speaker").json
        spoken = again.speak().status
    return why(
        (made == 200, f"the voice was not chosen: {made}"),
        (not whole, "the stream looks whole"),
        ("tom" in str(current), f"the choice is lost: {current}"),
        (spoken == 200, f"the next process answers {spoken}"),
    )


async def _killed_while(life: Life, chunks: int) -> bool:
    """Kill the process after so many chunks; whether the stream looks whole to its client."""
    task = asyncio.create_task(hear(life.port, {"input": LONG, "response_format": "pcm"}))
    while (await asyncio.to_thread(life.state))["active"] == 0:
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.1 * chunks)
    life.process.kill()
    return (await task).whole


def _stage(kind: str, status: tuple[int, ...]) -> Callable[[Lives, int], str]:
    """A disturbance by a stage of the model: its request fails, alone, and the next one is served."""

    def disturb(lives: Lives, number: int) -> str:
        stage = ("vocode", "velocity", "step")[number % 3]
        fault = Fault(stage=stage, kind=kind, guarded=kind == "hangs")  # type: ignore[arg-type]
        with lives.one(Nature(fault=fault)) as life:
            assert life.trigger is not None
            whole = life.speak(WORDS).body
            life.trigger.arm(number % 2)
            try:
                answer = life.speak(WORDS)
                hurt, got = answer.status in status, answer.status
            except IncompleteRead as cut:
                hurt, got = whole.startswith(cut.partial), 200
            fired, after = life.trigger.fired, life.speak(WORDS)
            idle = life.wait_idle(10)
        return why(
            (fired, "it never came"),
            (hurt, f"its own request was answered {got}"),
            (after.status == 200 and len(after.body) == len(whole), f"the next one: {after.status}"),
            (idle, "something is left running"),
        )

    return disturb


def stopped_reader(lives: Lives, number: int) -> str:
    """A client that never reads is cut off; the model is free, and others are served meanwhile."""
    with lives.one(write_s=0.5, max_active=2, max_text=100_000) as life, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.connect((HOST, life.port))
        raw.sendall(
            request("/v1/audio/speech", {"input": LONG, "response_format": "wav", "sample_rate": 48_000})
        )
        began = time.monotonic()
        other = life.speak(WORDS).status
        idle = life.wait_idle(30)
        took = time.monotonic() - began
    return why(
        (other == 200, f"another client got {other}"),
        (idle, "its speech goes on"),
        (took < 25, f"it was cut off after {took:.0f} s"),
    )


def lost_answers(lives: Lives, number: int) -> str:
    """A client that goes before it hears an answer asks again: one voice is made."""
    with lives.one(require_consent=False) as life:
        from tests.service.forms import BOUNDARY, encoded

        body = encoded({"name": "one", "audio_sample": recording(seconds=1.0)})
        head = (
            f"POST {VOICES} HTTP/1.1\r\nHost: {HOST}\r\nIdempotency-Key: k{number}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((HOST, life.port)) as raw:
            raw.sendall(head.encode() + body)
            time.sleep(0.2 * number)
        answers = [
            life.post(VOICES, "", f"k{number}", name="one", audio_sample=recording(seconds=1.0))
            for _ in range(2)
        ]
        own = [each for each in life.ask("GET", VOICES).json["data"] if each["kind"] != "model"]
    return why(
        (answers[0].status == 200, f"asked again: {answers[0].status} {answers[0].body[:100]!r}"),
        (answers[0].body == answers[1].body, "the two answers differ"),
        (len(own) == 1, f"{len(own)} voices were made"),
    )


def no_descriptors(lives: Lives, number: int) -> str:
    """More sockets than the process may have files: some are refused; afterwards all is as before."""
    nature = Nature(limits={resource.RLIMIT_NOFILE: 96})
    with lives.one(nature, max_sockets=1_000, receive_s=2.0) as life:
        with ExitStack() as stack:
            for _ in range(200):
                raw = stack.enter_context(socket.socket())
                raw.settimeout(5)
                try:
                    raw.connect((HOST, life.port))
                except OSError:
                    break
            time.sleep(0.2)
        back = life.wait(lambda: _speaks(life), 20)
    return why((back, "it does not serve again"))


def _speaks(life: Life) -> bool:
    try:
        return life.speak().status == 200
    except (OSError, HTTPException):
        time.sleep(0.1)
        return False


def slow_senders(lives: Lives, number: int) -> str:
    """Many clients that send a byte now and then are cut off in time; others are served meanwhile."""
    with lives.one(receive_s=1.0) as life, ExitStack() as stack:
        raws = [stack.enter_context(socket.create_connection((HOST, life.port))) for _ in range(100)]
        for raw in raws:
            raw.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: loc")
        statuses = [life.speak().status for _ in range(3)]
        began = time.monotonic()
        for raw in raws:
            raw.settimeout(10)
            raw.recv(1_000)
        took = time.monotonic() - began
    return why((statuses == [200] * 3, f"others got {statuses}"), (took < 5, f"cut off after {took:.1f} s"))


ALL: dict[str, Callable[[Lives, int], str]] = {
    "killed in the middle of a stream": killed,
    "a stage that raises": _stage("raises", (500,)),
    "a stage without memory": _stage("out of memory", (500, 503)),
    "a backend that hangs": _stage("hangs", (500,)),
    "a reader that stops reading": stopped_reader,
    "answers that are lost": lost_answers,
    "no file descriptors": no_descriptors,
    "a hundred slow senders": slow_senders,
}
