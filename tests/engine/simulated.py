"""Crowds of listeners on a virtual clock, served by the schedule: what they hear, or are told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from cosyrt.engine.active import MARGIN
from cosyrt.engine.schedule import Claim, Costs, Later, Playback, admitted, audio_until, urgent

FIRST_S, CHUNK_S = 0.12, 0.08  # of work, for the first second of audio and for each later one
LAST_S = 600.0  # arrivals
LONGEST_WAIT_S = 3.0  # in the queue


@dataclass
class Listener:
    """Somebody who asks for some seconds of speech, a second at a time."""

    arrived_s: float
    seconds: int
    key: str = ""
    playback: Playback = field(default_factory=Playback)

    def claim(self) -> Claim:
        begun = self.playback.began_s is not None
        return Claim(
            arrived_s=self.arrived_s,
            work_s=CHUNK_S if begun else FIRST_S,
            deadline_s=self.playback.ends_s,
            key=self.key,
        )


@dataclass
class Simulation:
    """One worker, listeners that arrive at random, and what became of them."""

    load: float
    most: int = 10**9  # active at once
    queue: int = 10**9
    longest_wait_s: float = LONGEST_WAIT_S
    first_audio_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    refused: int = 0
    told: list[tuple[float, float, Listener]] = field(default_factory=list)  # when, what wait, behind whom
    let_in_s: dict[int, float] = field(default_factory=dict)  # by the listener's id

    def arrivals(self) -> list[Listener]:
        dice, now_s, found = random.Random(0), 0.0, list[Listener]()
        while now_s < LAST_S:
            now_s += dice.expovariate(self.load / (CHUNK_S * 6 + FIRST_S - CHUNK_S))
            found.append(Listener(now_s, max(2, int(dice.gauss(6, 2)))))
        return found

    def run(self) -> Simulation:
        coming, queue, active, now_s = self.arrivals()[::-1], list[Listener](), list[Listener](), 0.0
        while coming or active or queue:
            self.let_in(queue, active, now_s)  # before whoever came meanwhile
            while coming and coming[-1].arrived_s <= now_s:
                self.arrive(coming.pop(), queue, active, now_s)
            place = urgent([each.claim() for each in active], now_s)
            if place is None:
                now_s = max(now_s, coming[-1].arrived_s) if coming else now_s
                continue
            now_s += self.serve(active, active[place], now_s)
        return self

    def arrive(self, listener: Listener, queue: list[Listener], active: list[Listener], now_s: float) -> None:
        if len(active) < self.most:
            active.append(listener)
        elif len(queue) < self.queue:
            queue.append(listener)
        else:
            self.refused += 1
            begun = [each for each in active if each.playback.given_s]
            left = [each.seconds - each.playback.given_s for each in begun]
            waiting = [float(each.seconds) for each in [*active, *queue] if each not in begun]
            self.told.append((now_s, CHUNK_S * audio_until(len(queue), left, waiting), queue[-1]))

    def let_in(self, queue: list[Listener], active: list[Listener], now_s: float) -> None:
        while queue and len(active) < self.most:
            listener = queue.pop(admitted([each.key for each in queue], [each.key for each in active]))
            if now_s - listener.arrived_s > self.longest_wait_s:
                self.refused += 1
            else:
                active.append(listener)
                self.let_in_s[id(listener)] = now_s

    def serve(self, active: list[Listener], listener: Listener, now_s: float) -> float:
        """Make a second of audio; returned is how long it took."""
        work_s = listener.claim().work_s
        if listener.playback.began_s is None:
            self.first_audio_s.append(now_s + work_s - listener.arrived_s)
        listener.playback.give(1.0, now_s + work_s)
        if listener.playback.given_s >= listener.seconds:
            self.gaps_s.append(listener.playback.gap_s)
            active.remove(listener)
        return work_s

    def figures(self) -> tuple[float, float, int]:
        """95th percentile of first audio, the longest gap, and how many of a hundred were refused."""
        spoken = len(self.gaps_s)
        first = sorted(self.first_audio_s)[int(0.95 * spoken)]
        return round(first, 2), max(self.gaps_s), round(100 * self.refused / (spoken + self.refused))


@dataclass
class Growing:
    """A listener whose chunks become longer, as those of a stream do."""

    arrived_s: float
    left_s: float = 12.0
    made: int = 0
    playback: Playback = field(default_factory=Playback)

    def hops(self) -> list[float]:
        """Seconds of the next chunk, and of those behind it until they grow no longer."""
        return [0.5, 1.0, 2.0, 4.0][min(self.made, 3) :]

    def claim(self, cost_s: Callable[[float], float], horizon: int) -> Claim:
        hops = self.hops()
        later = [Later(before, MARGIN * cost_s(hop)) for before, hop in pairwise(hops)]
        deadline_s = self.playback.ends_s
        return Claim(
            arrived_s=self.arrived_s,
            work_s=cost_s(hops[0]),
            deadline_s=deadline_s,
            later=tuple(later[:horizon]),
        )


def gaps_on_an_uneven_machine(cautious: bool, horizon: int, seed: int = 0) -> list[float]:
    """The longest gap of each listener of a crowd, on a machine that is half as fast now and then.

    What a second of audio takes is learnt; `cautious` reckons with the slowest lately, with the mean else.
    """
    dice, now_s, slow_until_s, gaps = random.Random(seed), 0.0, 0.0, list[float]()
    costs, active = Costs({"chunk": 0.08}), list[Growing]()
    cost_s = partial(costs.slowest if cautious else costs.predict, "chunk")
    while now_s < 200.0:
        while len(active) < 16:
            active.append(Growing(now_s))
        if now_s > slow_until_s + 6:
            slow_until_s = now_s + dice.expovariate(1 / 3)
        place = urgent([each.claim(cost_s, horizon) for each in active], now_s)
        assert place is not None
        listener, hop = active[place], active[place].hops()[0]
        took_s = 0.08 * hop * dice.uniform(0.8, 1.2) * (2 if now_s < slow_until_s else 1)
        now_s += took_s
        costs.add("chunk", hop, took_s)
        listener.playback.give(hop, now_s)
        listener.made, listener.left_s = listener.made + 1, listener.left_s - hop
        if listener.left_s <= 0:
            gaps.append(listener.playback.gap_s)
            active.remove(listener)
    return gaps
