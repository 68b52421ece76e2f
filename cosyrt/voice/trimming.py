"""A recording as it was cut → one that begins and ends in quiet, for a voice to be made of.

What a model speaks first continues the end of the recording. One that was cut in the middle of a sound leaks:
the rest of that sound, or of its word, is heard at the beginning of what is said. So long silence is trimmed,
the ends fade, and quiet is added behind. Upstream's pages trim, and add 0.2 s of silence.
"""

from __future__ import annotations

import numpy as np

from cosyrt.audio import Audio

QUIET_S = 0.2  # behind the recording
KEPT_S = 0.3  # of silence at either end
FADE_S = 0.02  # a click becomes inaudible, a sound is hardly shorter
FRAME_S = 0.01
BELOW_PEAK_DB = 50.0  # so far below the loudest frame is silence; quiet speech sounds are 30 dB below


def trimmed(audio: Audio, longest_s: float) -> Audio:
    """Trim long silence at both ends, let them fade, and add quiet behind, up to the longest allowed."""
    start, end = _sound(audio)
    kept = round(KEPT_S * audio.rate)
    samples = audio.samples[max(0, start - kept) : end + kept].copy()
    fade = min(round(FADE_S * audio.rate), len(samples) // 2)
    rise = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    samples[:fade] *= rise
    samples[len(samples) - fade :] *= rise[::-1]
    quiet = min(round(QUIET_S * audio.rate), int(longest_s * audio.rate) - len(samples))
    return Audio(np.pad(samples, (0, max(0, quiet))), audio.rate)


def _sound(audio: Audio) -> tuple[int, int]:
    """The samples at which the first sound begins and the last one ends."""
    width = max(1, round(FRAME_S * audio.rate))
    count = len(audio.samples) // width
    levels = audio.samples[: count * width].reshape(count, width).std(axis=1)
    loud = np.flatnonzero(levels > levels.max(initial=0.0) * 10 ** (-BELOW_PEAK_DB / 20))
    if not loud.size:
        return 0, len(audio.samples)
    last = int(loud[-1]) + 1
    return int(loud[0]) * width, len(audio.samples) if last == count else last * width
