"""The schedule on a virtual clock: no listener hears a gap, nobody starves, predictions come true."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.schedule import Claim, Costs, MovingAverage, Playback, admitted, in_time, urgent

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
            while coming and coming[-1].arrived_s <= now_s:
                self.arrive(coming.pop(), queue, active, now_s)
            self.let_in(queue, active, now_s)
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
            work_s = sum(FIRST_S + CHUNK_S * (each.seconds - 1) for each in queue)
            self.told.append((now_s, work_s, queue[-1]))

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


BOUNDS = {"most": 10, "queue": 10}


@pytest.mark.parametrize(
    ("load", "bounds", "first_audio_s", "refused"),
    [
        (0.8, {}, 0.26, 0),
        (0.95, BOUNDS, 1.84, 1),
        (1.2, BOUNDS, 3.07, 11),
        (2.0, BOUNDS, 3.34, 44),
    ],
)
def test_no_listener_hears_a_gap(load: float, bounds: Any, first_audio_s: float, refused: int) -> None:
    """At any load those who are let in hear no gap over 100 ms; a crowd makes the new wait, or go."""
    first, gap_s, gone = Simulation(load, **bounds).run().figures()

    assert (first, gone) == (first_audio_s, refused)
    assert gap_s <= 0.1


def test_the_wait_that_is_told_comes_true() -> None:
    """Whoever is refused is told the work that is queued; so long it takes until the queue is let in."""
    simulation = Simulation(1.5, **BOUNDS, longest_wait_s=99.0).run()
    waits = [
        (told_s, simulation.let_in_s[id(last)] - at_s)
        for at_s, told_s, last in simulation.told
        if id(last) in simulation.let_in_s
    ]

    assert len(waits) > 100
    assert sum(told_s for told_s, _ in waits) == pytest.approx(sum(wait_s for _, wait_s in waits), rel=0.2)


CLAIMS = st.lists(
    st.builds(
        Claim,
        arrived_s=st.floats(0, 10),
        work_s=st.floats(0.01, 2),
        deadline_s=st.none() | st.floats(0, 20),
        key=st.sampled_from("ab"),
    ),
    max_size=8,
)


@given(CLAIMS, st.floats(0, 10))
def test_a_new_stream_never_makes_one_that_has_begun_late(claims: list[Claim], now_s: float) -> None:
    """Where a new one is served, all that have begun still come in time after it, in any other case the
    earliest deadline is served; there is always somebody, and of those that wait a key's first."""
    place = urgent(claims, now_s)
    begun = sorted(claim.deadline_s for claim in claims if claim.deadline_s is not None)
    if place is None:
        assert not claims
    elif claims[place].deadline_s is None:
        clock = now_s + claims[place].work_s
        for deadline_s, work_s in sorted(
            (c.deadline_s, c.work_s) for c in claims if c.deadline_s is not None
        ):
            clock += work_s
            assert clock <= deadline_s or clock == pytest.approx(deadline_s)
        same_key = [c for c in claims if c.deadline_s is None and c.key == claims[place].key]
        assert claims[place].arrived_s == min(c.arrived_s for c in same_key)
    else:
        assert claims[place].deadline_s == begun[0]


def test_a_stream_begins_when_it_can_go_on() -> None:
    """The second audio must come before the first was heard where others listen; alone it begins at once."""
    listener = Claim(arrived_s=0, work_s=0.1, shared_s=0.2, deadline_s=2.0)
    slow = Claim(arrived_s=1, work_s=0.1, next_work_s=0.4, next_shared_s=0.3)
    ahead = replace(slow, next_shared_s=0.0)  # the tokens of its second chunk are there

    assert urgent([listener, slow], 1.0) == 0
    assert urgent([slow], 1.0) == 0 and urgent([listener, replace(ahead, next_work_s=0.1)], 1.0) == 1
    beginning = replace(slow, ready=False)
    assert urgent([beginning, slow], 1.0) is None  # whoever is about to begin has listeners, too


def test_keys_take_turns() -> None:
    """One who asks for much waits behind one who asks for little, in the queue and when streams begin."""
    busy = [Claim(arrived_s=0, work_s=0.1, deadline_s=9.0, key="much")]
    waiting = [Claim(arrived_s=1 + n, work_s=0.1, deadline_s=None, key=key) for n, key in enumerate(KEYS)]

    assert urgent([*busy, *waiting], 5.0) == 1 + KEYS.index("little")
    assert admitted(KEYS, ["much", "much"]) == KEYS.index("little")
    assert admitted(KEYS, ["much", "little"]) == 0


KEYS = ["much", "much", "little", "much"]


def test_whoever_has_no_listener_is_served_in_the_end() -> None:
    """A deadline that stands still comes before those that move on, however many of them there are."""
    streams, patient_s, now_s = [Playback(0.0, 1.0) for _ in range(3)], 2.0, 0.0
    for _ in range(100):
        claims = [Claim(arrived_s=0, work_s=0.1, deadline_s=each.ends_s) for each in streams]
        place = urgent([*claims, Claim(arrived_s=0, work_s=0.1, deadline_s=patient_s)], now_s)
        assert place is not None
        if place == len(streams):
            break
        now_s += 0.1
        streams[place].give(0.25, now_s)
    assert place == len(streams) and now_s <= 3.0


def test_playback_that_was_late_goes_on_later() -> None:
    """A gap is as long as the audio was late, and puts off the end; what comes early makes none."""
    playback = Playback()
    assert playback.ends_s is None
    for seconds, now_s in ((1.0, 5.0), (1.0, 5.5), (1.0, 7.25), (1.0, 8.3)):
        playback.give(seconds, now_s)

    assert (playback.gap_s, playback.ends_s) == (pytest.approx(0.25), pytest.approx(9.3))


def test_costs_are_learnt_by_size() -> None:
    """What was measured is predicted for its size, and in proportion for sizes that were not."""
    costs = Costs({"step": 0.01})
    assert costs.predict("step", 4) == pytest.approx(0.04)
    for _ in range(5):
        costs.add("step", 4, 0.02)
        costs.add("step", 16, 0.032)

    assert costs.predict("step", 4) == pytest.approx(0.02)
    assert costs.predict("step", 16) == pytest.approx(0.032)
    assert costs.predict("step", 1) == pytest.approx(0.005)
    assert costs.predict("step", 32) == pytest.approx(0.064)
    assert 0 < costs.error["step"].value < 0.2


@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_moving_average_stays_among_its_values(values: list[float]) -> None:
    """The mean is never beyond what was taken in, and comes to a value that is taken in often."""
    average = MovingAverage(values[0])
    for value in values:
        average.add(value)
    assert min(values) - 1e-9 <= average.value <= max(values) + 1e-9
    for _ in range(200):
        average.add(50.0)
    assert average.value == pytest.approx(50.0, abs=1e-3)


def test_in_time_counts_the_work_before() -> None:
    """Each comes after the work of those before it."""
    begun = [Claim(arrived_s=0, work_s=1.0, deadline_s=deadline_s) for deadline_s in (1.0, 2.0)]

    assert in_time(begun, 0.0) and not in_time(begun, 0.1)


def test_two_workers_share_what_comes_before() -> None:
    """Each claim is one worker's to its end; what is before it both have done in half the time."""
    begun = [Claim(arrived_s=0, work_s=1.0, deadline_s=deadline_s) for deadline_s in (1.0, 1.5, 2.0)]

    assert in_time(begun, 0.0, workers=2) and not in_time(begun, 0.0)
    assert not in_time(begun, 0.1, workers=2)


@given(CLAIMS, st.floats(0, 10), st.integers(1, 4))
def test_who_is_served_already_is_not_chosen(claims: list[Claim], now_s: float, workers: int) -> None:
    """A worker takes what is ready, and what is not still counts among those that must come in time."""
    claims = [replace(claim, ready=bool(n % 2)) for n, claim in enumerate(claims)]
    place = urgent(claims, now_s, workers)

    if place is not None:
        assert claims[place].ready
    elif any(claim.ready for claim in claims):
        begun = [claim for claim in claims if claim.deadline_s is not None]
        assert not any(claim.ready for claim in begun) and not in_time(sorted_by_deadline(begun), now_s + 2)


def sorted_by_deadline(claims: list[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: claim.deadline_s or 0.0)
