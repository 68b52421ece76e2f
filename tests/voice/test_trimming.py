"""Recordings that begin and end in quiet, whatever they were cut from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.voice.trimming import KEPT_S, QUIET_S, trimmed

RATE = 16_000


def sound(seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).standard_normal(round(seconds * rate)).clip(-1, 1).astype(
        np.float32
    )


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(round(seconds * rate), np.float32)


def test_a_sound_that_was_cut_ends_in_quiet() -> None:
    """No step is left at either end, and the middle of the sound is as it was."""
    speech = sound(2.0)
    found = trimmed(Audio(speech, RATE), 30.0).samples

    assert len(found) == len(speech) + round(QUIET_S * RATE)
    assert abs(found[0]) < 1e-3 and np.abs(found[-round(QUIET_S * RATE) :]).max() < 1e-3
    assert np.abs(np.diff(found)).max() <= np.abs(np.diff(speech)).max()
    np.testing.assert_array_equal(found[RATE // 2 : RATE], speech[RATE // 2 : RATE])


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.1), (2.0, 0.0), (0.0, 3.0), (5.0, 5.0)])
def test_long_silence_is_trimmed(before: float, after: float) -> None:
    """A little of it stays at either end."""
    audio = Audio(np.concatenate([silence(before), sound(2.0), silence(after)]), RATE)
    expected = min(before, KEPT_S) + 2.0 + min(after, KEPT_S) + QUIET_S
    assert trimmed(audio, 30.0).seconds == pytest.approx(expected, abs=0.03)


def test_no_recording_becomes_too_long() -> None:
    """The end of a recording that is as long as is allowed fades and nothing is added."""
    assert trimmed(Audio(sound(3.0), RATE), 3.0).seconds == 3.0
    assert trimmed(Audio(sound(2.9), RATE), 3.0).seconds == 3.0


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([8_000, 22_050, 48_000]),
    st.integers(0, 60_000),
    st.floats(0, 1, width=32),
    st.floats(-1, 1),
)
def test_any_recording_stays_one(rate: int, length: int, level: float, offset: float) -> None:
    """Short, silent, loud or with an offset: finite samples of about that length, not changed in place."""
    samples = (level * sound(length / rate, rate) + offset).astype(np.float32)
    before = samples.copy()
    found = trimmed(Audio(samples, rate), 30.0)

    assert np.isfinite(found.samples).all() and found.rate == rate
    assert found.seconds <= len(samples) / rate + QUIET_S + 0.001
    np.testing.assert_array_equal(samples, before)
