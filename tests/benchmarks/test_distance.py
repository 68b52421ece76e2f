"""The distance between two utterances of the same text."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.distance import cepstrum, distance_db, warped_mean
from cosyrt.audio import Audio


def chirp(seconds: float, from_hz: float = 200, to_hz: float = 3_000) -> Audio:
    """A sweep over a floor of noise: its spectrum tells the time."""
    noise = np.random.default_rng(0).normal(0, 0.003, int(seconds * 24_000))
    time = np.arange(int(seconds * 24_000)) / 24_000
    phase = 2 * np.pi * (from_hz * time + (to_hz - from_hz) / seconds / 2 * time**2)
    return Audio((noise + 0.1 * np.sin(phase) + 0.05 * np.sin(2.7 * phase)).astype(np.float32), 24_000)


def test_the_same_audio_has_no_distance():
    """Zero, and the level does not count."""
    audio = chirp(0.5)
    assert distance_db(audio, audio) == 0
    assert distance_db(audio, Audio(audio.samples * 0.5, 24_000)) < 0.2


def test_speaking_slower_is_a_small_distance():
    """Warping follows another rate; another sound stays far."""
    slower, other = chirp(0.8), chirp(0.5, 3_000, 200)
    assert distance_db(chirp(0.5), slower) < 0.5 * distance_db(chirp(0.5), other)


def test_the_scale_is_decibels():
    """The distance of two spectra one cosine apart is the root mean square of their difference in dB."""
    ripple = np.cos(np.pi * (np.arange(80) + 0.5) / 80)
    mel = 2 / 80 * np.array([[ripple @ ripple]])
    assert mel == pytest.approx(1)
    difference_db = 20 / np.log(10) * np.sqrt(np.mean(ripple**2))
    assert difference_db == pytest.approx(10 / np.log(10) * np.sqrt(2), rel=1e-3)
    assert cepstrum(chirp(0.2)).shape == (10, 13)


@pytest.mark.parametrize(
    ("costs", "mean"),
    [
        ([[1.0]], 1.0),
        ([[0, 9, 9], [9, 0, 9], [9, 9, 0]], 0.0),
        ([[0, 0, 9], [9, 9, 3]], 1.0),
        ([[2, 9], [2, 9], [9, 2]], 2.0),
    ],
)
def test_the_cheapest_path_is_found(costs, mean):
    """Right, down and diagonal steps; the mean is over the cells of the path."""
    assert warped_mean(np.array(costs, np.float32)) == pytest.approx(mean)
