"""Where in its period a voice is, frame by frame: what brings a vocoder's source into step with a recording.

A source that adds up the pitch has the recording's speed, but not its phase. In step with it, the wave that a
vocoder makes can be held against the recording's wave, where otherwise only magnitudes can be compared.
The recording is whitened by its minimum-phase envelope (from the cepstrum: Oppenheim and Schafer,
"Discrete-Time Signal Processing"); the pulses that are left are folded by the pitch, and where they lie in it
is followed from frame to frame by dynamic programming (Viterbi).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

RATE_HZ, HOP = 24_000, 480
SIZE = 1_024  # of the transform that whitens
QUEFRENCIES = 60  # 2.5 ms: shorter than any period, so that the envelope has no harmonics
BAND_HZ = (120.0, 5_000.0)  # where pulses stand out
LOUDEST = 6.0  # times the deviation of the whitened sound: a click does not count for more
PLACES = 96  # of a period
WINDOW = 960  # samples around the middle of a frame: some periods of every voice
STIFFNESS = 60.0  # what it costs to move by a whole period from one frame to the next, in pulse heights
BLUR = (0.25, 0.5, 1.0, 0.5, 0.25)


def phases(
    samples: np.ndarray,  # float32 [N] at 24 kHz
    pitch_hz: np.ndarray,  # [M], 0 = unvoiced
    polarity: float = 1.0,  # -1 where pulses point downwards, as Kokoro's do
) -> np.ndarray:  # float32 [M]
    """Tell how many cycles after a pulse the middle of each voiced frame is; 0 where unvoiced."""
    voiced = pitch_hz > 0
    found = np.zeros(len(pitch_hz), np.float32)
    if not voiced.any():
        return found
    numbers = np.arange(len(pitch_hz))
    # through the unvoiced the phase glides on: it only has to be some phase
    gliding = np.interp(numbers, numbers[voiced], pitch_hz[voiced])
    middle = np.cumsum(gliding) * HOP / RATE_HZ
    profiles = folded(polarity * whitened(samples), drawn(middle))
    for first, last in runs(voiced):
        found[first:last] = (middle[first:last] - followed(profiles[first:last])) % 1
    return found


def drawn(middle: np.ndarray) -> np.ndarray:  # [M] cycles -> [HOP * M] cycles
    """Draw the phase of every sample: straight from one frame's middle to the next, flat at the ends."""
    at = (np.arange(len(middle)) + 0.5) * HOP - 0.5
    return np.interp(np.arange(HOP * len(middle)), at, middle)


def runs(voiced: np.ndarray) -> list[tuple[int, int]]:  # bool [M]
    """Find every stretch of voiced frames, as its first frame and the one after its last."""
    edges = np.flatnonzero(np.diff(np.pad(voiced.astype(np.int8), 1)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def whitened(samples: np.ndarray) -> np.ndarray:  # [N] -> [N]
    """Take the envelope away, so that pulses are left where the glottis closes."""
    window, hop = np.sqrt(np.hanning(SIZE + 1)[:SIZE]), SIZE // 4
    spans = sliding_window_view(np.pad(samples, (SIZE, SIZE + hop)), SIZE)[::hop]
    spectra = np.fft.rfft(spans * window)
    hz = np.fft.rfftfreq(SIZE, 1 / RATE_HZ)
    band = (hz > BAND_HZ[0]) & (hz < BAND_HZ[1])
    parts = np.fft.irfft(spectra / minimum_phase(np.abs(spectra)) * band) * window
    sound = np.zeros(len(samples) + 2 * SIZE + hop)
    for number, part in enumerate(parts):
        sound[number * hop : number * hop + SIZE] += part
    sound = sound[SIZE : SIZE + len(samples)]
    limit = LOUDEST * sound.std()
    return np.clip(sound, -limit, limit)


def minimum_phase(magnitudes: np.ndarray) -> np.ndarray:  # [frames, bins] -> complex [frames, bins]
    """Smooth each spectrum, and give it the phase of the shortest filter that has that envelope."""
    floor = 1e-4 * magnitudes.max() + 1e-9
    cepstrum = np.fft.irfft(np.log(magnitudes + floor))
    lifter = np.zeros(SIZE)
    lifter[1:QUEFRENCIES] = 1 + np.cos(np.pi * np.arange(1, QUEFRENCIES) / QUEFRENCIES)
    lifter[0] = 1
    return np.exp(np.fft.rfft(cepstrum * lifter))


def folded(sound: np.ndarray, cycles: np.ndarray) -> np.ndarray:  # [N], [>= N] -> [M, PLACES]
    """Average the sound at every place of the period around the middle of each frame; peaks are 1."""
    frames, beside = len(cycles) // HOP, (WINDOW - HOP) // 2
    sound = np.pad(sound, (beside, beside + len(cycles) - len(sound)))
    cycles = np.pad(cycles, beside, mode="edge")
    spans = sliding_window_view(sound, WINDOW)[::HOP][:frames]
    places = (sliding_window_view(cycles, WINDOW)[::HOP][:frames] % 1 * PLACES).astype(np.int64) % PLACES
    keys = (np.arange(frames)[:, None] * PLACES + places).ravel()
    window = np.broadcast_to(np.hanning(WINDOW), spans.shape)
    total = np.bincount(keys, (spans * window).ravel(), frames * PLACES)
    count = np.bincount(keys, window.ravel(), frames * PLACES)
    mean = (total / (count + 1e-3)).reshape(frames, PLACES)
    mean = np.sum(
        [np.roll(mean, k - len(BLUR) // 2, axis=1) * weight for k, weight in enumerate(BLUR)], axis=0
    )
    return mean / (np.abs(mean).max(axis=1, keepdims=True) + 1e-9)


def followed(profiles: np.ndarray) -> np.ndarray:  # [M, PLACES] -> [M] cycles
    """Follow the pulse: high in the profile of each frame, and near to where it was before."""
    places = np.arange(PLACES)
    apart = (places[:, None] - places + PLACES // 2) % PLACES - PLACES // 2
    moving = STIFFNESS * (apart / PLACES) ** 2
    cost, back = -profiles[0], []
    for profile in profiles[1:]:
        ways = cost + moving  # [to, from]
        back.append(ways.argmin(axis=1))
        cost = ways.min(axis=1) - profile
    path = [int(cost.argmin())]
    for came in reversed(back):
        path.append(int(came[path[-1]]))
    return (sharpened(profiles, np.array(path[::-1])) + 0.5) / PLACES


def sharpened(profiles: np.ndarray, places: np.ndarray) -> np.ndarray:  # [M, PLACES], [M] -> [M]
    """Refine peaks by parabolas through them and what is beside them."""
    rows = np.arange(len(places))
    left, top, right = (profiles[rows, (places + shift) % PLACES] for shift in (-1, 0, 1))
    bend = np.minimum(left - 2 * top + right, -1e-9)
    return places + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
