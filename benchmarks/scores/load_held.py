"""S2: the built-in voice under as much load as it can carry, and under more.

First its capacity: seconds of audio it makes in a second when it always has something to do. Then requests
arrive at random moments, at a share of that capacity. Beyond it the rest is refused, at once and with a time
to come back, and what is admitted is spoken without a gap.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from benchmarks.scores.client import Heard, hear
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell, ms, percentile

NAME, TITLE = "S2", "Load held, the built-in voice"
TEXTS = (
    "The train leaves at nine.",
    "It is late, and the last bus has gone. We walk home along the river.",
    "Please call me back.",
)
BYTES_A_SECOND = 48_000
GAP_S, REFUSAL_S, LEAST_SHARE = 0.1, 0.05, 0.9
BUSY_STREAMS = 8  # that keep it busy while its capacity is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """For how long, and at which shares of the capacity."""

    capacity_s: float
    loads: tuple[float, ...]
    seconds: float
    seed: int = 0


FAST = Amount(capacity_s=0.8, loads=(2.0,), seconds=1.5)
FULL = Amount(capacity_s=15, loads=(0.5, 1.0, 2.0), seconds=25)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Measure the capacity, then ask for shares of it."""
    found = Score(NAME, TITLE)
    chance = random.Random(amount.seed)
    judged = amount is FULL  # a second is too short to judge rates by
    with lives.one() as life:
        tell("capacity")
        capacity, requests = asyncio.run(_capacity(life, amount.capacity_s))
        found.figures.append(f"makes {capacity:.1f} s of audio in a second ({requests:.1f} requests)")
        delivered = {}
        for load in amount.loads:
            tell(f"{load:g} times its capacity")
            memory = life.memory_bytes()
            heard = asyncio.run(_arrivals(life, load * requests, amount.seconds, chance))
            life.wait_idle()
            delivered[load] = _judge(heard, load, capacity, found, judged=judged)
            grown = life.memory_bytes() - memory
            found.expect(grown < 100 << 20, f"{grown >> 20} MB more at {load:g} times its capacity")
    if judged:
        share = delivered[2.0] / delivered[1.0]
        found.expect(share >= LEAST_SHARE, f"twice the load is served {share:.0%} of what once the load is")
    return found


async def _capacity(life: Life, seconds: float) -> tuple[float, float]:
    """Seconds of audio, and requests, that are done in a second."""
    began = time.monotonic()
    done: list[Heard] = []

    async def ask_on(number: int) -> None:
        while time.monotonic() < began + seconds:
            done.append(await hear(life.port, _body(number + len(done))))

    await asyncio.gather(*map(ask_on, range(BUSY_STREAMS)))
    took = time.monotonic() - began
    return sum(len(each.body) for each in done) / BYTES_A_SECOND / took, len(done) / took


async def _arrivals(life: Life, rate: float, seconds: float, chance: random.Random) -> list[Heard]:
    """Send requests at random moments, so many a second, whatever becomes of those before."""
    asked: list[asyncio.Task[Heard]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        asked.append(asyncio.create_task(hear(life.port, _body(len(asked)))))
        await asyncio.sleep(chance.expovariate(rate))
    return await asyncio.gather(*asked)


def _body(number: int) -> dict[str, object]:
    return {"input": TEXTS[number % len(TEXTS)], "seed": number, "response_format": "pcm"}


def _judge(heard: list[Heard], load: float, capacity: float, found: Score, *, judged: bool) -> float:
    """Say how one load went; seconds of audio that came whole, a second."""
    spoken = [each for each in heard if each.status == 200]
    refused = [each for each in heard if each.status != 200]
    ended = max(each.arrivals[-1][0] for each in spoken) if spoken else 0.0
    took = max(0.001, ended - min(each.began for each in heard))
    delivered = sum(len(each.body) for each in spoken if each.whole) / BYTES_A_SECOND / took
    answers = [each.answered - each.began for each in refused]
    first = [each.first_audio_s for each in spoken]
    gaps = [each.gap_s(BYTES_A_SECOND) for each in spoken]
    found.expect_all((each.whole for each in spoken), f"streams were cut at {load:g} times its capacity")
    found.expect_all(
        (each.status in (429, 503) and "retry-after" in each.headers for each in refused),
        "refusals that do not say when to come back",
    )
    late = percentile(answers, 99) if answers else 0.0
    if judged:
        found.expect(late < REFUSAL_S, f"refused after {ms(late)} at {load:g} times its capacity")
        gapless = sum(gap <= GAP_S for gap in gaps)
        found.expect(gapless == len(gaps), f"{len(gaps) - gapless} gaps at {load:g} times its capacity")
    found.figures.append(
        f"at {load:g} times that: {delivered / capacity:.0%} of it delivered, "
        f"{len(refused) / len(heard):.0%} refused (within {ms(late)}), first audio "
        f"{ms(percentile(first, 50))} (median), {ms(percentile(first, 95))} (95 %), "
        f"longest gap {ms(max(gaps, default=0.0))}"
    )
    return delivered
