"""Voice conversion: a recording that another voice is to say again → its speech tokens, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import AudioError
from cosyrt.voice.reference import (
    ENCODER_HZ,
    GOOD_REFERENCE_HZ,
    MAX_REFERENCE_S,
    MIN_REFERENCE_HZ,
    Floats,
    Tokens,
    speech_tokens,
)

MIN_RECORDING_S = 0.1
SEARCH_S = 5.0  # a part is cut at the quietest moment of its last seconds
FRAME = ENCODER_HZ // 50
SMOOTH_FRAMES = 10  # a moment is 0.2 s: the closure of a consonant is no pause


def recording_tokens(folder: ModelFolder, audio: Audio) -> Iterator[Tokens]:  # [S] each
    """Speech tokens of a recording of any length, in parts that the speech tokenizer can take (30 s).

    Raises:
        AudioError: shorter than a tenth of a second, or of a rate lower than the telephone's.
        ModelNotFound: the folder lacks the speech tokenizer.
        WeightsError: the speech tokenizer cannot be used.
    """
    if audio.seconds < MIN_RECORDING_S:
        raise AudioError(f"the recording is {audio.seconds:.2f} s long; give at least {MIN_RECORDING_S:g} s")
    if audio.rate < MIN_REFERENCE_HZ:
        raise AudioError(
            f"the recording has {audio.rate} samples a second; record it at {GOOD_REFERENCE_HZ} or more"
        )
    samples = audio.resample(ENCODER_HZ).samples
    return (speech_tokens(folder, part) for part in split_recording(samples))


def split_recording(
    samples: Floats,  # [N] at 16 kHz
) -> Iterator[Floats]:  # [N'] each, joined they are the whole
    """Split a recording into parts of at most 30 s, cut where it is quietest."""
    most = int(MAX_REFERENCE_S * ENCODER_HZ)
    while len(samples) > most:
        cut = most - int(SEARCH_S * ENCODER_HZ) + _quietest(samples[most - int(SEARCH_S * ENCODER_HZ) : most])
        yield samples[:cut]
        samples = samples[cut:]
    yield samples


def _quietest(
    samples: Floats,  # [N]
) -> int:
    """The position of the sample in the middle of the quietest moment."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    moments = np.convolve(power, np.ones(SMOOTH_FRAMES), "valid")
    return (int(moments.argmin()) + SMOOTH_FRAMES // 2) * FRAME
