"""S9: SIGTERM under load: what has begun is finished, nothing new begins, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import psutil

from benchmarks.scores.client import HOST, Heard, hear
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell, percentile

NAME, TITLE = "S9", "Ends in peace"
TEXT = "It speaks, then it goes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How often it ends, and under how many streams."""

    ends: int
    streams: int
    seed: int = 0


FAST = Amount(ends=1, streams=2)
FULL = Amount(ends=30, streams=8)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """End services that are speaking."""
    found = Score(NAME, TITLE)
    chance = random.Random(amount.seed)
    ended, whole, refused = [], 0, 0
    for number in found.rounds(amount.ends):
        life = lives.begin(max_active=amount.streams)
        children = psutil.Process(life.pid).children(recursive=True)
        began, streams, late = asyncio.run(_end(life, amount.streams, chance.uniform(0.02, 0.5)))
        life.process.join(60)
        ended.append(time.monotonic() - began)
        whole += sum(each.whole and each.status == 200 for each in streams)
        refused += late
        _judge(life, streams, children, found)
        tell(f"{number + 1} of {amount.ends} services have ended")
    count = len(ended) * amount.streams
    found.figures.append(
        f"{len(ended)} SIGTERMs under {amount.streams} streams: {whole} of {count} finished, "
        f"{refused} new requests refused, over after {percentile(ended, 50):.1f} s (median), "
        f"{max(ended):.1f} s at most"
    )
    return found


async def _end(life: Life, count: int, after_s: float) -> tuple[float, list[Heard], int]:
    """Begin streams, send the signal, ask for more; when it was sent, what was heard, what was refused."""
    body = {"input": TEXT, "response_format": "pcm"}
    streams = [asyncio.create_task(hear(life.port, body)) for _ in range(count)]
    while (await asyncio.to_thread(life.state))["active"] < count and not all(
        each.done() for each in streams
    ):
        await asyncio.sleep(0.005)
    await asyncio.sleep(after_s)
    began = time.monotonic()
    life.process.terminate()
    refused = await asyncio.to_thread(_ask_for_more, life)
    return began, await asyncio.gather(*streams), refused


def _ask_for_more(life: Life) -> int:
    """Ask until the port is closed; how many were refused. One that is spoken counts below nothing."""
    refused = 0
    while life.process.is_alive():
        try:
            status = life.speak().status
        except (OSError, HTTPException):
            break
        refused += status == 503
        if status == 200 and refused:
            return -1_000_000
        time.sleep(0.02)
    return refused


def _judge(life: Life, streams: list[Heard], children: list[psutil.Process], found: Score) -> None:
    found.expect(life.process.exitcode == 0, f"the exit code is {life.process.exitcode}")
    cut = [each for each in streams if each.status == 200 and not each.whole]
    found.expect(not cut, f"{len(cut)} streams were cut")
    found.expect(not [each for each in children if each.is_running()], "children are left")
    found.expect("Traceback" not in Path(life.log).read_text(), f"a traceback: {life.log.read_text()[-300:]}")
    with socket.socket() as probe:
        found.expect(probe.connect_ex((HOST, life.port)), "the port is still open")
