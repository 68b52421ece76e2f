"""The audible notice that speech is synthetic: a rhythm of soft tones before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Morse for "AI", short long, short short: the rhythm that GB 45438-2025 asks of an audible notice.
_RHYTHM = ((1, 1), (3, 3), (1, 1), (1, 4))  # units of each tone and of the silence behind it
_UNIT_S = 0.07
_NOTICE_HZ = 880.0
_NOTICE_LEVEL = 0.12
_FADE_S = 0.008


def notice(rate: int) -> NDArray[np.float32]:
    """Make the audible notice, about a second of soft tones.  → [N]"""
    return np.concatenate([part for tone, rest in _RHYTHM for part in (_tone(rate, tone), _rest(rate, rest))])


def _tone(rate: int, units: int) -> NDArray[np.float32]:
    time_s = np.arange(round(rate * _UNIT_S * units)) / rate
    fade = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / _FADE_S)
    return np.asarray(_NOTICE_LEVEL * fade * np.sin(2 * np.pi * _NOTICE_HZ * time_s), np.float32)


def _rest(rate: int, units: int) -> NDArray[np.float32]:
    return np.zeros(round(rate * _UNIT_S * units), np.float32)
