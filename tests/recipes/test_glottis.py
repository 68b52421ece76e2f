"""Where in its period a voice is."""

from __future__ import annotations

import numpy as np
import pytest

from recipes.builtin_voice.glottis import HOP, drawn, followed, phases, runs

FRAMES = 60


def voice(pitch_hz: np.ndarray, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Pulses through two resonances, and how many cycles after a pulse the middle of each frame is."""
    middle = np.cumsum(pitch_hz) * HOP / 24_000 + start
    cycles = drawn(middle)
    pulses = np.diff(np.floor(cycles), prepend=np.floor(cycles[0])).clip(0)
    times = np.arange(240) / 24_000
    tract = sum(np.exp(-times * 500) * np.sin(2 * np.pi * hz * times) for hz in (600, 1_700))
    return np.convolve(pulses, tract)[: len(cycles)].astype(np.float32), middle % 1


@pytest.mark.parametrize("hz", [90.0, 140.0, 260.0])
@pytest.mark.parametrize("start", [0.1, 0.55])
def test_the_phase_is_that_of_the_pulses(hz: float, start: float) -> None:
    """Whatever the pitch, gliding, and wherever the first pulse is: within a twentieth of a cycle."""
    pitch = np.linspace(hz, 1.3 * hz, FRAMES)
    sound, expected = voice(pitch, start)
    away = (phases(sound, pitch) - expected + 0.5) % 1 - 0.5
    # the resonances have a delay of their own, the same in every frame
    away = (away - np.median(away) + 0.5) % 1 - 0.5
    assert np.abs(away[3:-3]).max() < 0.05


def test_pulses_may_point_downwards() -> None:
    """With the polarity of the voice it is the same phase."""
    pitch = np.full(FRAMES, 130.0)
    sound, _ = voice(pitch, 0.3)
    np.testing.assert_allclose(phases(-sound, pitch, -1.0), phases(sound, pitch))


def test_the_unvoiced_has_no_phase() -> None:
    """Zero where there is no pitch, and all of it where there is none at all."""
    sound, _ = voice(np.full(FRAMES, 120.0), 0.0)
    pitch = np.where(np.arange(FRAMES) < 30, 120.0, 0.0)
    assert not phases(sound, pitch)[30:].any()
    assert phases(sound, pitch)[:30].any()
    assert not phases(sound, np.zeros(FRAMES)).any()


def test_every_voiced_stretch_is_found() -> None:
    """At the ends too, and of one frame."""
    assert runs(np.array([True, False, False, True, True])) == [(0, 1), (3, 5)]
    assert runs(np.zeros(3, bool)) == []


def test_a_stray_peak_is_not_followed() -> None:
    """One frame whose highest place is far off stays with its neighbours."""
    profiles = np.zeros((5, 96))
    profiles[:, 20] = 0.9
    profiles[2, 70] = 1.0
    assert np.ptp(followed(profiles)) < 0.01
