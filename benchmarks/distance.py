"""How far two utterances are apart when their timing may differ: mel-cepstral distance under time warping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Audio
from cosyrt.mel import log_mel
from cosyrt.units import MelSpec

COEFFICIENTS = 13
DECIBELS = 10 / np.log(10) * np.sqrt(2)

Frames = NDArray[np.float32]


def distance_db(one: Audio, other: Audio) -> float:
    """Mel-cepstral distortion in dB, averaged along the best alignment (Kubichek 1993; without the level)."""
    left, right = cepstrum(one), cepstrum(other)
    costs = np.sqrt(((left[:, None] - right[None]) ** 2).sum(-1)) * DECIBELS
    return warped_mean(costs)


def cepstrum(audio: Audio) -> Frames:
    """Mel cepstrum c1 … c13, [M, 13], 50 frames a second: ln|X| = c0 + c1 cos ω + c2 cos 2ω …"""
    mel = log_mel(audio.resample(MelSpec().sample_hz).samples, MelSpec())
    bins = mel.shape[0]
    angles = np.pi / bins * np.outer(np.arange(1, COEFFICIENTS + 1), np.arange(bins) + 0.5)
    return (2 / bins * np.cos(angles) @ mel).T.astype(np.float32)


def warped_mean(
    costs: NDArray[np.float32],  # [M, M']
) -> float:
    """Mean cost along the cheapest path from corner to corner; a step goes right, down or both."""
    outside = (np.inf, 1)
    above = [(0.0, 0)] + [outside] * costs.shape[1]  # (total, steps) of the best path to each cell
    for line in costs.tolist():
        row = [outside]
        for column, cost in enumerate(line):
            total, steps = min(above[column], above[column + 1], row[column])
            row.append((total + cost, steps + 1))
        above = row
    total, steps = above[-1]
    return total / steps
