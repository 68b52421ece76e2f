"""S8: from the moment when a client leaves to the moment when the model works for somebody else."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.scores.client import HOST, request, reset
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell, ms, percentile

NAME, TITLE = "S8", "Clients that leave"
LONG = "One sentence comes after another, and none of them is short. " * 8
MOST_S = 2.0  # from leaving to freed, at the 99th percentile: the longest unit of work
QUEUED = 4  # that leave the queue at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many clients leave."""

    leave: int
    leave_queue: int
    seed: int = 0


FAST = Amount(leave=2, leave_queue=1)
FULL = Amount(leave=200, leave_queue=25)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Leave in every phase, and wait until the model is free."""
    found = Score(NAME, TITLE)
    chance = random.Random(amount.seed)
    with lives.one() as life:
        took = [
            _leave(life, chance, number, amount.leave, tell, found)
            for number in found.rounds(amount.leave, 0.6)
        ]
        threads = _threads(life)
        before = life.memory_bytes()
        found.expect(life.wait_idle(), f"requests are left: {life.state()}")
        cancelled = _count(life, "cancelled")
        found.expect(life.speak().status == 200, "the service does not speak any more")
    found.figures.append(
        f"{len(took)} left while they were spoken to: free after {ms(percentile(took, 50))} (median), "
        f"{ms(percentile(took, 99))} (99 %), {ms(max(took))} at most; {cancelled} counted as cancelled"
    )
    found.expect(percentile(took, 99) < MOST_S, f"free after {ms(percentile(took, 99))}")
    found.expect(threads < 60, f"{threads} threads are left, and {before >> 20} MB")
    _leave_queue(lives, amount, tell, found)
    return found


def _leave(life: Life, chance: random.Random, number: int, count: int, tell: Tell, found: Score) -> float:
    """Begin a stream, leave at any moment, and time how long it takes until nothing is spoken."""
    with_reset = chance.random() < 0.5
    raw = socket.create_connection((HOST, life.port))
    raw.sendall(request("/v1/audio/speech", {"input": LONG, "response_format": "pcm"}))
    time.sleep(chance.uniform(0, 0.6))
    if with_reset:
        reset(raw)
    else:
        raw.close()
    left = time.monotonic()
    found.expect(life.wait_idle(10), "a client left, and its speech goes on")
    tell(f"{number + 1} of {count} clients have left")
    return time.monotonic() - left


def _leave_queue(lives: Lives, amount: Amount, tell: Tell, found: Score) -> None:
    """Leave while waiting for one's turn: the model never hears of it."""
    took: list[float] = []
    with lives.one(max_active=1) as life:
        for number in found.rounds(amount.leave_queue):
            made = asyncio.run(_queue_round(life, took, found))
            found.expect(not made, f"{made} of those who left the queue were spoken to")
            tell(f"{QUEUED * (number + 1)} of {QUEUED * amount.leave_queue} have left the queue")
    found.figures.append(
        f"{QUEUED * len(took)} left the queue: out after {ms(max(took))} at most, none spoken to"
    )


async def _queue_round(life: Life, took: list[float], found: Score) -> int:
    """Let one be spoken to and some wait; let those leave; how many of them were spoken to all the same."""
    body = {"input": LONG, "response_format": "pcm"}
    speaking = await _open(life, body)
    await speaking[0].readuntil(b"\r\n\r\n")  # it has audio, so it is active
    waiting = [await _open(life, body) for _ in range(QUEUED)]
    found.expect(await _until(life, QUEUED, active=1), f"not in the queue: {life.state()}")
    done = _count(life, "done")
    for _, writer in waiting:
        writer.close()
    left = time.monotonic()
    found.expect(await _until(life, 0, active=1), f"still in the queue: {life.state()}")
    took.append(time.monotonic() - left)
    speaking[1].close()
    found.expect(await asyncio.to_thread(life.wait_idle, 10), "the last one has left, and is spoken to")
    return _count(life, "done") - done


async def _open(life: Life, body: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(HOST, life.port)
    writer.write(request("/v1/audio/speech", body))
    return reader, writer


async def _until(life: Life, queued: int, active: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        state = await asyncio.to_thread(life.state)
        if (state["queued"], state["active"]) == (queued, active):
            return True
    return False


def _count(life: Life, end: str) -> int:
    """How many requests for speech have ended in one way, as the service counts them."""
    page = life.ask("GET", "/metrics").body.decode()
    counted = re.search(rf'cosyrt_speech_total{{end="{end}"}} (\S+)', page)
    assert counted is not None
    return int(float(counted[1]))


def _threads(life: Life) -> int:
    import psutil

    return int(psutil.Process(life.pid).num_threads())
