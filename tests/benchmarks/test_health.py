"""Faults put into a healthy sound are found, each under its own name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.health import LIMITS, clicks, complaints, expected_s, sentences
from cosyrt.audio import Audio

TEXT = "The train leaves at nine."
RATE = 24_000


def healthy() -> np.ndarray:
    """A buzz of 120 Hz that swells and fades, silent before and after; as long as the text."""
    time = np.arange(int(expected_s(TEXT) * RATE)) / RATE
    pulses = sum(np.cos(2 * np.pi * 120 * harmonic * time) for harmonic in range(1, 25)) / 25
    envelope = np.clip(np.minimum(time - 0.1, time[-1] - 0.25 - time) * 10, 0, 1)
    return (0.5 * envelope * pulses).astype(np.float32)


def wrong(samples: np.ndarray) -> str:
    return "; ".join(complaints(Audio(samples.astype(np.float32), RATE), TEXT))


def test_nothing_is_wrong_with_a_healthy_sound():
    """Pulses are no clicks."""
    assert wrong(healthy()) == ""


@pytest.mark.parametrize("at", [500, 20_000, -2_000])
def test_a_click_is_found(at):
    """One sample out of place, in silence or inside the sound, is found within a millisecond."""
    samples = healthy()
    samples[at] += 0.4
    audio = Audio(samples, RATE)
    assert clicks(audio, LIMITS) == [pytest.approx(at % len(samples), abs=RATE // 1_000)]
    assert "click at" in wrong(samples)


def test_a_step_is_found():
    """A seam where the wave jumps: the level after it is another one."""
    samples = healthy()
    samples[400:2_000] += 0.1
    assert "click at 0.017 s" in wrong(samples)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda x: np.tile(x, 3), "lasts 4"),
        (lambda x: x[: len(x) // 3], "lasts 0"),
        (lambda x: x * 0.15, "level"),
        (lambda x: x * 0, "nothing is heard"),
        (lambda x: np.clip(x * 9, -1, 1), "samples are clipped"),
        (lambda x: x[: len(x) * 3 // 4], "does not end in silence"),
        (lambda x: np.pad(x, (0, RATE)), "after the speech"),
        (
            lambda x: np.concatenate([x[:12_000], np.zeros(36_000), x[12_000:24_000], x[-6_000:]]),
            "pauses for",
        ),
    ],
)
def test_a_fault_is_found(spoil, complaint):
    """Too long, too short, silent, clipped, cut off, endless silence, a hole in the middle."""
    assert complaint in wrong(spoil(healthy()))


@pytest.mark.slow
def test_the_texts_are_many_and_of_every_length():
    """Each run has equal texts, short and long, in both languages."""
    texts = sentences(["One two three four five."] * 3, ["今天的天气很好。"] * 3, 60)
    assert texts == sentences(["One two three four five."] * 3, ["今天的天气很好。"] * 3, 60)
    assert sum(text.isascii() for text in texts) == 30
    assert min(map(expected_s, texts)) < 0.8 < 3 < max(map(expected_s, texts))


@pytest.mark.slow
@settings(deadline=None, max_examples=25)  # the first call reads the dictionaries
@given(st.lists(st.sampled_from(["hello", "world", "你", "好吗"]), min_size=1, max_size=6))
def test_more_text_takes_longer(parts):
    """Expected durations grow with the text."""
    text = " ".join(parts)
    assert 0.35 < expected_s(text + ".") < expected_s(text + " hello.")
