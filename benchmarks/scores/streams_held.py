"""S1: how many streams the service itself carries in real time: everything but the model.

An engine that only keeps time gives each stream a chunk every 100 ms. One client process hears them all and
compares every byte. A number of streams is held when all are whole and as they should be, and a player with
0.2 s in hand would never have been silent.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import numpy as np

from benchmarks.scores.client import Heard, hear
from benchmarks.scores.lives import Life, Lives, Nature
from benchmarks.scores.paced import CHUNK_S, HZ, VARIETY, chunk
from benchmarks.scores.score import Score, Tell, ms, percentile
from cosyrt.encoders import encode

NAME, TITLE = "S1", "Streams held, without a model"
BUFFER_S, LATE_S = 0.2, 0.05
BYTES_A_SECOND = 2 * HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many streams are tried, one number after another, and how long each is."""

    steps: tuple[int, ...]
    seconds: float
    seed: int = 0


FAST = Amount(steps=(10,), seconds=1.0)
FULL = Amount(steps=(50, 100, 150, 200, 300, 400, 600, 1_000), seconds=10.0)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Try more and more streams until some are late."""
    found = Score(NAME, TITLE)
    held, figures, limit = 0, "", "more were not tried"
    with lives.one(Nature(paced=True), max_sockets=max(amount.steps) + 64) as life:
        expected = [expected_body(at, round(amount.seconds / CHUNK_S)) for at in range(VARIETY)]
        for count in amount.steps:
            tell(f"{count} streams")
            heard = asyncio.run(_hear_all(life, count, amount))
            wrong = [at for at, each in enumerate(heard) if not _is_right(each, expected[at % VARIETY])]
            late = [lateness for each in heard for lateness in latenesses(each)]
            silent = [each for each in heard if each.gap_s(BYTES_A_SECOND) > BUFFER_S]
            found.expect(not wrong, f"{len(wrong)} of {count} streams were not whole, or not as alone")
            if wrong or silent or percentile(late, 99) > LATE_S:
                limit = (
                    f"at {count} {len(silent)} would have been silent, chunks {ms(percentile(late, 99))} late"
                )
                break
            held = count
            figures = f"chunks {ms(percentile(late, 99))} late (99 %), {ms(max(late))} at most"
    found.expect(held, f"not even {amount.steps[0]} streams are held: {limit}")
    found.figures.append(f"{held} streams of {amount.seconds:g} s in real time: {figures}; {limit}")
    return found


async def _hear_all(life: Life, count: int, amount: Amount) -> list[Heard]:
    """Begin streams at random moments of a second, and hear all of them."""
    chance = random.Random(amount.seed)
    text = "x" * round(amount.seconds / CHUNK_S)

    async def one(number: int, pause_s: float) -> Heard:
        await asyncio.sleep(pause_s)
        body = {"input": text, "seed": number % VARIETY, "response_format": "pcm"}
        return await hear(life.port, body)

    return await asyncio.gather(*(one(number, chance.random()) for number in range(count)))


def expected_body(seed: int, chunks: int) -> bytes:
    """The bytes of a stream, encoded at once."""
    samples = np.concatenate([chunk(seed, number % VARIETY).samples for number in range(1, chunks + 1)])
    return encode(samples, HZ, "pcm")


def _is_right(heard: Heard, expected: bytes) -> bool:
    return heard.whole and heard.status == 200 and bytes(heard.body) == expected


def latenesses(heard: Heard) -> list[float]:
    """How late each part came, against a clock that began with the first one."""
    if not heard.arrivals:
        return []
    first, seconds, late = heard.arrivals[0][0], 0.0, []
    for at, count in heard.arrivals:
        late.append(max(0.0, at - first - seconds))
        seconds += count / BYTES_A_SECOND
    return late
