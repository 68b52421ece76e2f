"""Fundamental frequency of clean speech, one value a mel frame (480 samples at 24 kHz).

YIN (de Cheveigné & Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 2002): the
difference function by autocorrelation, its cumulative mean, the first deep dip, a parabola through it; then
octave jumps are set right against the neighbourhood and strays are called unvoiced.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

RATE_HZ = 8_000
BAND_HZ = 1_600
HOP = RATE_HZ // 50
LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
LONGEST_LAG = int(RATE_HZ / LOWEST_HZ) + 2
SHORTEST_LAG = int(RATE_HZ / HIGHEST_HZ)
WINDOW = 240  # 30 ms: two periods at the lowest pitch that teachers speak with
FFT = 512
DEEP, SHALLOW = 0.12, 0.45
QUIET = 1e-5
STRAY_OCTAVES = 0.35


def track(samples: np.ndarray) -> np.ndarray:  # float32 [N] at 24 kHz -> float32 [N / 480] Hz, 0 = unvoiced
    """The pitch in the middle of every mel frame."""
    frames = len(samples) // 480
    # Only the lowest harmonics: higher ones drift out of phase within the window when the pitch glides.
    band = soxr.resample(samples, 24_000, BAND_HZ, quality="HQ")
    low = soxr.resample(band, BAND_HZ, RATE_HZ, quality="HQ")
    return steadied(*yin(_windows(low, frames)))


def _windows(low: np.ndarray, frames: int) -> np.ndarray:  # [M, WINDOW + LONGEST_LAG]
    span = WINDOW + LONGEST_LAG
    before = span // 2 - HOP // 2
    padded = np.pad(low, (before, span + HOP))
    return sliding_window_view(padded, span)[: frames * HOP : HOP]


def yin(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [M, W + lags] -> [M] Hz, [M] aperiodicity
    """Pitch candidate of each window and how far it is from periodic (0 = perfectly periodic)."""
    normal = normalised_difference(windows - windows.mean(1, keepdims=True))
    lag = first_dip(normal)
    rows = np.arange(len(lag))
    left, middle, right = (normal[rows, lag + shift] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend > 1e-9, 0.5 * (left - right) / np.maximum(bend, 1e-9), 0.0)
    loud = (windows**2).mean(1) > QUIET
    hz = RATE_HZ / (lag + np.clip(shift, -0.5, 0.5))
    return hz.astype(np.float32), np.where(loud, middle, 1.0).astype(np.float32)


def normalised_difference(windows: np.ndarray) -> np.ndarray:  # [M, W + lags] -> [M, lags + 1]
    """YIN's cumulative-mean-normalised difference function, steps 2 and 3 of the paper."""
    spectrum = np.fft.rfft(windows, FFT).astype(np.complex64)
    head = np.fft.rfft(windows[:, :WINDOW], FFT).astype(np.complex64)
    product = np.fft.irfft(spectrum * head.conj(), FFT)[:, : LONGEST_LAG + 1]
    power = np.pad(np.cumsum(windows.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
    energy = power[:, WINDOW : WINDOW + LONGEST_LAG + 1] - power[:, : LONGEST_LAG + 1]
    difference = np.maximum(energy[:, :1] + energy - 2 * product, 0)
    difference[:, 0] = 0
    mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, LONGEST_LAG + 1)
    return np.concatenate([np.ones_like(mean[:, :1]), difference[:, 1:] / np.maximum(mean, 1e-12)], axis=1)


def first_dip(normal: np.ndarray) -> np.ndarray:  # [M, lags + 1] -> int [M]
    """The first local minimum below the threshold, or the lowest point when there is none."""
    inner = normal[:, SHORTEST_LAG:-1]
    is_dip = (
        (inner < DEEP)
        & (inner <= normal[:, SHORTEST_LAG - 1 : -2])
        & (inner <= normal[:, SHORTEST_LAG + 1 :])
    )
    best = np.where(is_dip.any(1), is_dip.argmax(1), inner.argmin(1))
    return best + SHORTEST_LAG


def steadied(hz: np.ndarray, aperiodicity: np.ndarray) -> np.ndarray:  # [M], [M] -> [M]
    """Zero where unvoiced; octave errors moved to their neighbours' median; strays and specks removed."""
    voiced = aperiodicity < SHALLOW
    if not voiced.any():
        return np.zeros_like(hz)
    around = sliding_window_view(np.pad(np.where(voiced, hz, np.nan), 6, constant_values=np.nan), 13)
    filled = np.where(np.isnan(around), np.median(hz[voiced]), around)
    usual = np.median(filled, axis=1)
    hz = np.clip(hz * 2.0 ** np.round(np.log2(usual / hz)), LOWEST_HZ, HIGHEST_HZ)
    voiced &= np.abs(np.log2(hz / usual)) < STRAY_OCTAVES
    beside = np.convolve(voiced, [1, 1, 1], mode="same")
    return np.where(voiced & (beside >= 2), hz, 0).astype(np.float32)


def log_pitch(hz: Tensor) -> Tensor:  # [...] Hz -> [...] natural logarithm, 0 when unvoiced
    """Logarithm of a pitch in hertz, keeping zero for the unvoiced."""
    return hz.clamp(min=1).log()
