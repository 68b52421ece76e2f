"""S4: faults of everything around the service, one after another, each so many times.

A fault is survived when what was promised for it holds: who is told what, what goes on meanwhile, and that
all is well again by itself. The model's values are S11, clients that leave S8, ends S9, kills S5.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.scores import disturbances, outages
from benchmarks.scores.lives import Lives
from benchmarks.scores.score import Score, Tell, ms

NAME, TITLE = "S4", "Faults survived"
Disturbance = Callable[[Lives, int], str]  # makes a fault; why it was not survived, or nothing
ALL: dict[str, Disturbance] = {**disturbances.ALL, **outages.ALL}
QUICK = "killed in the middle of a stream", "a stage that raises", "answers that are lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Which faults, and how often each."""

    names: tuple[str, ...]
    times: int


FAST = Amount(names=QUICK, times=1)
FULL = Amount(names=tuple(ALL), times=3)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Make every fault."""
    found = Score(NAME, TITLE)
    survived, tried, slowest = 0, 0, 0.0
    for number in found.rounds(amount.times, 0.7):
        for name in amount.names:
            tell(f"{name}, {number + 1} of {amount.times}")
            began = time.monotonic()
            why = ALL[name](lives, number)
            slowest = max(slowest, time.monotonic() - began)
            found.expect(not why, f"{name}: {why}")
            tried, survived = tried + 1, survived + (not why)
    found.figures.append(f"{survived} of {tried} survived: {'; '.join(amount.names)}")
    found.figures.append(f"the longest took {ms(slowest)}, start and end included")
    return found
