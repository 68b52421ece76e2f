"""The schedule on a virtual clock: no listener hears a gap, nobody starves, predictions come true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.schedule import (
    Claim,
    Costs,
    Due,
    Later,
    MovingAverage,
    Playback,
    Rate,
    admitted,
    audio_until,
    in_time,
    urgent,
)
from tests.engine.simulated import Simulation, gaps_on_an_uneven_machine

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
    """At any load those who are let in hear no gap over 100 ms; a crowd makes the new wait, or go.

    The figures are those of the simulation that the policy was chosen by, in which whoever came at the right
    moment went past the queue: hence the twentieth.
    """
    first, gap_s, gone = Simulation(load, **bounds).run().figures()

    assert first == pytest.approx(first_audio_s, rel=0.05) and gone == pytest.approx(refused, abs=1)
    assert gap_s <= 0.1


@pytest.mark.parametrize("load", [1.2, 1.5, 3.0])
def test_the_wait_that_is_told_comes_true(load: float) -> None:
    """Whoever is refused is told how long it takes until the queue is let in, within a tenth."""
    simulation = Simulation(load, **BOUNDS, longest_wait_s=99.0).run()
    waits = [
        (told_s, simulation.let_in_s[id(last)] - at_s)
        for at_s, told_s, last in simulation.told
        if id(last) in simulation.let_in_s
    ]

    assert len(waits) > 100
    assert sum(told_s for told_s, _ in waits) == pytest.approx(sum(wait_s for _, wait_s in waits), rel=0.1)


def test_a_machine_that_is_slow_now_and_then_makes_few_gaps() -> None:
    """Few of a crowd hear one where the guard looks ahead and knows the slowest lately; else many do."""
    guarded, by_the_mean, short_sighted = (
        gaps_on_an_uneven_machine(cautious, horizon)
        for cautious, horizon in ((True, 3), (False, 3), (True, 0))
    )
    shares = [sum(gap > 0.1 for gap in gaps) / len(gaps) for gaps in (guarded, by_the_mean, short_sighted)]

    assert shares[0] < 0.1 and min(shares[1:]) > 0.3
    assert len(guarded) > 0.95 * len(by_the_mean)  # and as many are served


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
    slow = Claim(arrived_s=1, work_s=0.1, later=(Later(0.5, 0.4, 0.3),))
    ahead = replace(slow, later=(Later(0.5, 0.1),))  # the tokens of its second chunk are there

    assert urgent([listener, slow], 1.0) == 0
    assert urgent([slow], 1.0) == 0 and urgent([listener, ahead], 1.0) == 1
    beginning = replace(slow, ready=False)
    assert urgent([beginning, slow], 1.0) is None  # whoever is about to begin has listeners, too


def test_a_stream_begins_when_its_growing_chunks_come_in_time() -> None:
    """The third audio is due when the second was heard, for the new one and for those that have begun."""
    listener = Claim(arrived_s=0, work_s=0.1, deadline_s=9.0)
    growing = (Later(0.5, 0.1, 0.2), Later(1.0, 0.2, 1.2))
    new = Claim(arrived_s=1, work_s=0.1, later=growing)
    short = replace(new, later=growing[:1])

    assert urgent([listener, new], 1.0) == 0 and urgent([listener, short], 1.0) == 1
    begun = replace(listener, deadline_s=1.6, later=(Later(1.0, 0.2, 1.6),))
    assert urgent([begun, short], 1.0) == 0 and urgent([replace(begun, later=()), short], 1.0) == 1


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
    dues = [Due(deadline_s, 1.0, 0.0) for deadline_s in (1.0, 2.0)]

    assert in_time(dues, 0.0) and not in_time(dues, 0.1)


def test_two_workers_share_what_comes_before() -> None:
    """Each claim is one worker's to its end; what is before it both have done in half the time."""
    dues = [Due(deadline_s, 1.0, 0.0) for deadline_s in (1.0, 1.5, 2.0)]

    assert in_time(dues, 0.0, workers=2) and not in_time(dues, 0.0)
    assert not in_time(dues, 0.1, workers=2)


def test_the_slowest_of_lately_is_forgotten_slowly() -> None:
    """A machine that was slow counts as slow for a while, until it has been fast for long."""
    costs = Costs({"step": 0.01})
    for seconds, times in ((0.02, 50), (0.01, 50)):
        for _ in range(times):
            costs.add("step", 1, seconds)
    assert costs.predict("step", 1) == pytest.approx(0.01, rel=0.02)
    assert costs.slowest("step", 1) > 0.015
    for _ in range(3000):
        costs.add("step", 1, 0.01)
    assert costs.slowest("step", 1) == pytest.approx(0.01, rel=0.02)


def test_how_much_is_made_until_somebody_ends() -> None:
    """All advance alike; the next that waits follows whoever ends, and may end before the others."""
    assert audio_until(1, [2.0, 5.0], [1.0]) == pytest.approx(4.0)
    assert audio_until(2, [2.0, 5.0], [1.0]) == pytest.approx(6.0)
    assert audio_until(3, [2.0, 5.0], [1.0]) == pytest.approx(8.0)
    assert audio_until(9, [2.0, 5.0], [1.0]) == pytest.approx(8.0)
    assert audio_until(0, [2.0], []) == audio_until(1, [], []) == 0.0


@given(st.lists(st.floats(0, 50), max_size=8), st.lists(st.floats(0, 50), max_size=8), st.integers(0, 20))
def test_no_more_is_made_than_there_is(served: list[float], waiting: list[float], ends: int) -> None:
    """What is made grows with each end, up to all that is left."""
    made = audio_until(ends, served, waiting)
    assert 0 <= made <= audio_until(ends + 1, served, waiting) + 1e-9
    assert audio_until(99, served, waiting) == pytest.approx(sum(served) + sum(waiting))


def test_the_rate_is_that_of_all_audio() -> None:
    """Short chunks count for little: the work is over the audio, and no mean of what each took."""
    rate = Rate()
    for _ in range(1000):
        rate.add(0.5, 0.5)
        rate.add(0.5, 4.5)

    assert rate.work == pytest.approx(0.2, rel=0.02)
    for _ in range(1000):
        rate.add(0.5, 1.0)
    assert rate.work == pytest.approx(0.5, rel=0.02)


@given(CLAIMS, st.floats(0, 10), st.integers(1, 4))
def test_who_is_served_already_is_not_chosen(claims: list[Claim], now_s: float, workers: int) -> None:
    """A worker takes what is ready, and what is not still counts among those that must come in time."""
    claims = [replace(claim, ready=bool(n % 2)) for n, claim in enumerate(claims)]
    place = urgent(claims, now_s, workers)

    if place is not None:
        assert claims[place].ready
    elif any(claim.ready for claim in claims):
        begun = [claim for claim in claims if claim.deadline_s is not None]
        dues = sorted(
            Due(claim.deadline_s, claim.work_s, 0.0) for claim in begun if claim.deadline_s is not None
        )
        assert not any(claim.ready for claim in begun) and not in_time(dues, now_s + 2)
