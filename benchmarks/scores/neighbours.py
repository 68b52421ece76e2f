"""S10: what one account hears does not depend on another, and one that asks for too much slows nobody else.

Streams of several accounts run in random interleavings; each must have the samples that it has alone, up to
the last bit of a sum in another order. Then one account asks for many times its share.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.scores.client import Heard, hear
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell, ms, percentile

NAME, TITLE = "S10", "Good neighbours"
KEYS = "/admin/keys"
TEXTS = ("Hello there.", "The train leaves at nine.", "It is late, and the last bus has gone.")
ALIKE = 2**-10  # of full scale: the most by which sums in another order may differ
TURNS = 4  # so that a machine that becomes slower or faster meanwhile does so for both
SLOWER = 1.2  # times, of another account's first audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many rounds of so many streams, and for how long one account asks too much."""

    rounds: int
    streams: int
    greedy_s: float
    seed: int = 0


FAST = Amount(rounds=2, streams=3, greedy_s=0)
FULL = Amount(rounds=40, streams=5, greedy_s=60)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Interleave streams, and compare each with what it is alone."""
    found = Score(NAME, TITLE)
    chance = random.Random(amount.seed)
    with lives.one(streams_per_key=2, max_active=amount.streams) as life:
        admin = life.ask("POST", KEYS, {"name": "admin", "scopes": ["admin"]}).json["key"]
        keys = [
            str(life.ask("POST", KEYS, {"name": f"account {number}"}, admin).json["key"])
            for number in range(amount.streams)
        ]
        _interleave(life, keys, chance, amount, tell, found)
        if amount.greedy_s:
            _greed(life, keys, amount.greedy_s, tell, found)
    return found


def _body(text: str, seed: int) -> dict[str, Any]:
    return {"input": text, "seed": seed, "voice": "tom", "response_format": "pcm"}


def _interleave(
    life: Life, keys: Sequence[str], chance: random.Random, amount: Amount, tell: Tell, found: Score
) -> None:
    """Compare streams among others with the same streams alone."""
    alone: dict[tuple[str, int], bytes] = {}
    same, farthest, count = 0, 0.0, 0
    for number in found.rounds(amount.rounds, 0.7):
        asked = [(chance.choice(TEXTS), chance.randrange(4)) for _ in keys]
        for one in asked:
            if one not in alone:
                alone[one] = life.speak(key=keys[0], **_fields(one)).body
        pauses = [chance.uniform(0, 0.3) for _ in keys]
        for one, heard in zip(asked, asyncio.run(_together(life, keys, asked, pauses)), strict=True):
            count += 1
            same += bytes(heard.body) == alone[one]
            farthest = max(farthest, distance(bytes(heard.body), alone[one]))
        tell(f"{number + 1} of {amount.rounds} rounds among neighbours")
    found.expect(len(set(alone.values())) == len(alone), "different requests sound alike")
    found.expect(farthest <= ALIKE, f"a stream differs from itself alone by {farthest:.3g} of full scale")
    found.figures.append(
        f"{count} streams of {len(keys)} accounts at once: {same} bit for bit as alone, the others within "
        f"{farthest * 32_768:.0f} steps of 16 bits"
    )


def _fields(one: tuple[str, int]) -> dict[str, Any]:
    body = _body(*one)
    return {("text" if name == "input" else name): value for name, value in body.items()}


async def _together(
    life: Life, keys: Sequence[str], asked: Sequence[tuple[str, int]], pauses: Sequence[float]
) -> list[Heard]:
    async def one(key: str, request: tuple[str, int], pause_s: float) -> Heard:
        await asyncio.sleep(pause_s)
        return await hear(life.port, _body(*request), key)

    return await asyncio.gather(*map(one, keys, asked, pauses))


def distance(one: bytes, other: bytes) -> float:
    """Largest difference between two sounds, as a share of full scale; 2 where their lengths differ."""
    if len(one) != len(other):
        return 2.0
    a, b = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    return float(np.abs(a - b).max(initial=0)) / 32_768


def _greed(life: Life, keys: Sequence[str], seconds: float, tell: Tell, found: Score) -> None:
    """Let one account use its share, and by turns ask for ten times as much; how long another waits."""
    waits: dict[int, list[float]] = {2: [], 20: []}
    refused = 0
    for turn in range(TURNS):
        for streams, found_s in waits.items():
            tell(f"one account keeps {streams} requests going, {turn + 1} of {TURNS}")
            more_s, more = asyncio.run(_waits(life, keys[0], keys[1], streams, seconds / TURNS / 2))
            found_s += more_s
            refused += more
    modest, greedy = (percentile(found_s, 95) for found_s in waits.values())
    found.figures.append(
        f"first audio of one account while another keeps its 2 streams going: {ms(modest)} (95 %); while "
        f"it asks for 20: {ms(greedy)}, {refused} refused"
    )
    found.expect(refused, "ten times its share was never refused")
    found.expect(greedy < SLOWER * modest, f"another account waits {greedy / modest:.2f} times as long")


async def _waits(
    life: Life, greedy: str, modest: str, streams: int, seconds: float
) -> tuple[list[float], int]:
    """First audio of an account that leaves once it is there, while another keeps so many requests going."""
    until, refused = time.monotonic() + seconds, 0

    async def ask_on() -> None:
        nonlocal refused
        while time.monotonic() < until:
            heard = await hear(life.port, _body(TEXTS[2], 0), greedy)
            if heard.status == 429:
                refused += 1
                await asyncio.sleep(0.2)

    asking = [asyncio.create_task(ask_on()) for _ in range(streams)]
    waits = []
    while time.monotonic() < until:
        heard = await hear(life.port, _body(TEXTS[1], 0), modest, lambda heard: True)
        waits.append(heard.first_audio_s)
        await asyncio.sleep(0.1)
    await asyncio.gather(*asking)
    return waits, refused
