"""The pitch tracker."""

from __future__ import annotations

import numpy as np
import pytest

from recipes.builtin_voice.pitch import track


@pytest.mark.parametrize("hz", [70.0, 118.0, 231.0, 380.0])
def test_a_harmonic_tone_has_its_pitch(hz: float) -> None:
    """Within half a percent in every frame away from the ends."""
    seconds = np.arange(24_000) / 24_000
    tone = sum(0.1 / k * np.sin(2 * np.pi * hz * k * seconds + k) for k in range(1, 9)).astype(np.float32)
    found = track(tone)
    assert len(found) == 50
    np.testing.assert_allclose(found[2:-2], hz, rtol=5e-3)


def test_a_glide_is_followed_in_time() -> None:
    """The value of a frame is the pitch in the frame's middle."""
    seconds = np.arange(24_000) / 24_000
    phase = 2 * np.pi * (120 * seconds + 40 * seconds**2)
    glide = sum(0.1 * np.sin(k * phase) for k in range(1, 6)).astype(np.float32)
    middle_s = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(track(glide)[3:-3], (120 + 80 * middle_s)[3:-3], rtol=0.01)


def test_noise_and_silence_are_unvoiced() -> None:
    """White noise is voiced in hardly any frame, silence in none."""
    noise = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    assert (track(noise) > 0).mean() < 0.1
    assert not track(np.zeros(9_600, np.float32)).any()
