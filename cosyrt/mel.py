"""Log-mel spectrograms of audio: those that the models were trained on, and Whisper's. numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Samples
from cosyrt.errors import AudioError
from cosyrt.units import MelSpec

_FRAMES_AT_ONCE = 512


def log_mel(
    samples: Samples,  # [N] at spec.sample_hz
    spec: MelSpec,
) -> Samples:
    """Natural log of the mel magnitudes, float32 [n_mels, M], M = N // hop when n_fft and hop divide evenly.

    Source: Matcha-TTS `mel_spectrogram` (reflect padding, no centring, Slaney mel scale).

    Raises:
        AudioError: no samples.
    """
    padding = (spec.n_fft - spec.hop) // 2
    blocks = [np.sqrt(power + 1e-9) @ mel_filterbank(spec).T for power in _power(samples, spec, padding)]
    mel = np.concatenate(blocks) if blocks else np.zeros((0, spec.n_mels), np.float32)
    return np.ascontiguousarray(np.log(np.maximum(mel, 1e-5)).T, np.float32)


def whisper_log_mel(
    samples: Samples,  # [N] at 16 kHz
    n_mels: int = 128,
) -> Samples:
    """Whisper's normalised log10 mel power without padding to 30 s, float32 [n_mels, N // 160].

    Source: Whisper `log_mel_spectrogram` (centred frames, the last one dropped, 8 decades of range).

    Raises:
        AudioError: no samples.
    """
    spec = MelSpec(sample_hz=16_000, n_fft=400, win=400, hop=160, n_mels=n_mels)
    frames = len(samples) // spec.hop
    blocks = [power @ mel_filterbank(spec).T for power in _power(samples, spec, spec.n_fft // 2)]
    mel = np.log10(np.maximum(np.concatenate(blocks)[:frames], 1e-10))
    if frames:
        mel = np.maximum(mel, mel.max() - 8.0)
    return np.ascontiguousarray(((mel + 4.0) / 4.0).T, np.float32)


def _power(
    samples: Samples,  # [N]
    spec: MelSpec,
    padding: int,
) -> Iterator[Samples]:
    """The power spectrum |STFT|² in blocks of frames [F, n_fft // 2 + 1]: long audio needs no more memory."""
    if not len(samples):
        raise AudioError("there are no samples to analyse; give audio")
    padded = np.pad(np.asarray(samples, np.float32), padding, mode="reflect")
    if len(padded) < spec.n_fft:
        return
    window = _window(spec)
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop]
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=-1)
        yield (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _window(spec: MelSpec) -> Samples:
    """Periodic Hann window, centred in n_fft."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.win) / spec.win)
    left = (spec.n_fft - spec.win) // 2
    return np.pad(window, (left, spec.n_fft - spec.win - left)).astype(np.float32)


@lru_cache(maxsize=16)
def mel_filterbank(spec: MelSpec) -> Samples:
    """Mel filters [n_mels, n_fft // 2 + 1]: triangles of unit area on the Slaney scale, librosa's default."""
    top = spec.sample_hz / 2 if spec.fmax is None else spec.fmax
    low, high = _mel_of_hz(np.array([spec.fmin, top]))
    edges = _hz_of_mel(np.linspace(low, high, spec.n_mels + 2))[:, None]
    bins = np.arange(spec.n_fft // 2 + 1) * (spec.sample_hz / spec.n_fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bank: Samples = (triangles * 2.0 / (edges[2:] - edges[:-2])).astype(np.float32)
    return bank


# Slaney's scale: linear below 1 kHz (15 mels), then 27 mels for each factor of 6.4.
_LINEAR_HZ, _LINEAR_MELS, _LOG_STEP = 1_000.0, 15.0, np.log(6.4) / 27.0


def _mel_of_hz(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    log = _LINEAR_MELS + np.log(np.maximum(hz, _LINEAR_HZ) / _LINEAR_HZ) / _LOG_STEP
    return np.where(hz < _LINEAR_HZ, hz * _LINEAR_MELS / _LINEAR_HZ, log)


def _hz_of_mel(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    exponential = _LINEAR_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _LINEAR_MELS) - _LINEAR_MELS))
    return np.where(mel < _LINEAR_MELS, mel * _LINEAR_HZ / _LINEAR_MELS, exponential)
