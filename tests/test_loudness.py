"""Loudness, against the figures of the standard, and levels that are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.errors import AudioError, UsageError
from cosyrt.loudness import amplified, amplified_stream, at_loudness, loudness_of


def sine(peak_db: float, seconds: float = 5.0, rate: int = 24_000) -> Audio:
    at = np.arange(round(seconds * rate)) / rate
    return Audio((10 ** (peak_db / 20) * np.sin(2 * np.pi * 997 * at)).astype(np.float32), rate)


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
@pytest.mark.parametrize("peak_db", [-40, -20, 0])
def test_a_sine_is_as_loud_as_the_standard_says(peak_db: float, rate: int) -> None:
    """ITU-R BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS."""
    assert loudness_of(sine(peak_db, rate=rate)) == pytest.approx(peak_db - 3.01, abs=0.1)


def test_a_loudness_is_reached() -> None:
    """Louder and softer audio come to the same loudness."""
    for peak_db in (-40, -10):
        assert loudness_of(at_loudness(sine(peak_db), -20)) == pytest.approx(-20, abs=0.1)


def test_peaks_are_not_clipped(caplog: pytest.LogCaptureFixture) -> None:
    """Where the peaks do not allow the loudness, the audio is as loud as they do, and a warning says so."""
    pulses = sine(-40)
    pulses.samples[::24_000] = 0.5
    louder = at_loudness(pulses, -10)
    assert float(np.abs(louder.samples).max()) == pytest.approx(10 ** (-1 / 20), rel=1e-4)
    assert "louder it would be clipped" in caplog.text


@pytest.mark.parametrize("audio", [sine(-20, 0.2), sine(-120)])
def test_what_cannot_be_measured(audio: Audio) -> None:
    """Audio that is too short or too quiet has no loudness by the standard."""
    with pytest.raises(AudioError, match="cannot be measured; use a gain"):
        at_loudness(audio, -16)


def test_a_gain_is_a_factor(caplog: pytest.LogCaptureFixture) -> None:
    """Six decibels are twice the level; one warning tells of peaks beyond full scale."""
    audio = sine(-20, 0.1)
    np.testing.assert_allclose(amplified(audio, 20).samples, audio.samples * 10, rtol=1e-5)
    parts = list(amplified_stream([audio, audio], 30))
    assert len(parts) == 2 and caplog.text.count("peaks are clipped") == 1


def test_values_out_of_range() -> None:
    """The error gives the range."""
    with pytest.raises(UsageError, match="choose -60 to 60"):
        amplified(sine(-20, 0.1), float("nan"))
    with pytest.raises(UsageError, match="choose -60 to 0"):
        at_loudness(sine(-20), 3)
