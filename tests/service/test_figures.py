"""Figures of a request: what a player that began with the first audio would have waited."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.service.figures import Figures
from tests.service.test_admission import Clock

PARTS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 5)), min_size=1, max_size=20)


def audio(seconds: float) -> Audio:
    """Silence of that length."""
    return Audio(np.zeros(max(1, round(seconds * 1_000)), np.float32), 1_000)


@given(PARTS)
def test_gaps_are_those_of_a_player(parts: list[tuple[float, float]]) -> None:
    """A player that is simulated second by second is silent as long as the figures say."""
    clock = Clock()
    figures, ends, longest = Figures(clock), None, 0.0
    for wait, seconds in parts:
        clock.now += wait
        part = audio(seconds)
        figures.take(part)
        if ends is not None:
            longest = max(longest, clock.now - ends)
        ends = max(ends or 0.0, clock.now) + part.seconds

    assert figures.longest_gap_s == pytest.approx(longest)
    assert figures.first_audio_s == pytest.approx(parts[0][0])
    assert figures.took_s == pytest.approx(clock.now)
    assert figures.audio_s == pytest.approx(sum(audio(seconds).seconds for _, seconds in parts))


def test_headers_say_how_long_it_took() -> None:
    """The times are in the form that browsers show."""
    clock = Clock()
    figures = Figures(clock)
    clock.now = 0.25
    figures.take(audio(1))

    assert figures.headers() == {"Server-Timing": "first_audio;dur=250, speech;dur=250"}
