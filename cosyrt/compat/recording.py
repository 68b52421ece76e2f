"""A recording as upstream's scripts pass it: a path, an open file, or samples in a tensor or an array."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from cosyrt.arguments import shown
from cosyrt.audio import Audio, Source
from cosyrt.errors import AudioError, UsageError

Recording = (
    Audio | Source | Tensor | np.ndarray
)  # arrays at 16 kHz: [N], [1, N], or [2, N] and [N, 2] in stereo

ARRAY_HZ = 16_000
MOST_CHANNELS = 8


def audio_of(recording: Recording, name: str) -> Audio:
    """The audio of a recording; the channels of one in memory are mixed down. `name` is the argument's.

    Raises:
        UsageError: it is of another kind. AudioError: it cannot be read, or its shape is no recording's.
    """
    if isinstance(recording, Audio):
        return recording
    if isinstance(recording, Tensor | np.ndarray):
        return Audio(_mono(recording, name), ARRAY_HZ)  # type: ignore[arg-type]
    if isinstance(recording, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(
        recording, "read"
    ):
        if not isinstance(recording, memoryview) and recording in ("", b""):
            raise UsageError(f"{name} is empty; give the path of a recording, or the name of a kept voice")
        return Audio.read(cast("str | Path | BinaryIO", recording))
    raise UsageError(
        f"{name} is {shown(recording)}; give a path, an open file, or samples at {ARRAY_HZ} Hz in a tensor"
    )


def load_wav(wav: Recording, target_sr: int, min_sr: int = 8_000) -> Tensor:  # [1, N]
    """Read a recording at a rate, its channels mixed down.

    Raises:
        AudioError: it cannot be read, or has fewer than `min_sr` samples a second. UsageError: it is none.
    """
    audio = audio_of(wav, "the recording")
    if audio.rate < min_sr:
        raise AudioError(f"the recording has {audio.rate} samples a second; give one of {min_sr} or more")
    return torch.from_numpy(audio.resample(target_sr).samples.copy())[None]


def told_apart(recording: Recording, name: str) -> tuple[tuple[str, ...], Audio | str | Path]:
    """What tells a recording from others, and the recording: a file is not read for that, any other is.

    Raises:
        UsageError, AudioError: as `audio_of`.
    """
    if isinstance(recording, str | Path) and os.path.isfile(recording):
        status = os.stat(recording)
        return (str(recording), str(status.st_mtime_ns), str(status.st_size)), recording
    audio = audio_of(recording, name)
    return (str(audio.rate), hashlib.sha256(audio.samples.tobytes()).hexdigest()), audio


def _mono(
    samples: Tensor | np.ndarray,  # [N], or [C, N] or [N, C], with rows of one before
    name: str,
) -> Tensor | np.ndarray:  # [N]
    """Mix the channels of a recording down to one."""
    shape = tuple(samples.shape)
    while samples.ndim > 1 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2 or min(samples.shape) > MOST_CHANNELS or not min(samples.shape):
        raise AudioError(
            f"{name} has the shape {list(shape)}; give samples of shape [N], or [C, N] in channels"
        )
    return samples.mean(0 if samples.shape[0] <= samples.shape[1] else 1)
