"""Recordings of every kind that upstream's scripts pass."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.compat.recording import audio_of, load_wav, told_apart
from cosyrt.errors import AudioError, CosyrtError, UsageError
from tests.compat.conftest import noise

KINDS: dict[str, Callable[[str], Any]] = {
    "path": Path,
    "name": str,
    "file in memory": lambda clip: io.BytesIO(Path(clip).read_bytes()),
    "bytes": lambda clip: Path(clip).read_bytes(),
    "audio": Audio.read,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_read_is_read(clip: str, kind: str) -> None:
    """Files, what is in them, and audio are one recording."""
    assert audio_of(KINDS[kind](clip), "prompt_wav") == Audio.read(clip)
    with open(clip, "rb") as file:
        assert audio_of(file, "prompt_wav") == Audio.read(clip)


@given(
    channels=st.integers(2, 8),
    count=st.integers(9, 40),
    last=st.booleans(),
    rows=st.integers(0, 2),
    as_tensor=st.booleans(),
)
def test_channels_are_mixed_down(channels: int, count: int, last: bool, rows: int, as_tensor: bool) -> None:
    """Samples with channels first or last, in rows of one or not, are the mean of the channels."""
    each = np.random.default_rng(count).uniform(-1, 1, (channels, count)).astype(np.float32)
    shaped = (each.T if last else each)[(None,) * rows]
    audio = audio_of(torch.from_numpy(shaped.copy()) if as_tensor else shaped, "prompt_wav")

    assert audio.rate == 16_000
    assert np.allclose(audio.samples, each.mean(0), atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 9), (2, 3, 40), (0, 40), (40, 40, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """What has no channels is not flattened into a long recording."""
    with pytest.raises(AudioError, match="prompt_wav has the shape"):
        audio_of(torch.zeros(shape), "prompt_wav")


@pytest.mark.parametrize("odd", [None, 7, 0.5, [0.1], (1,), {"a": 1}, object(), True, np.zeros(3, np.int64)])
def test_other_kinds_are_refused(odd: Any) -> None:
    """Whatever is no recording is one line that says what to give."""
    with pytest.raises(CosyrtError, match="give") as caught:
        audio_of(odd, "prompt_wav")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", b""])
def test_an_empty_name_is_told(empty: Any) -> None:
    """Scripts pass an empty prompt beside the name of a kept voice; without that name it is a mistake."""
    with pytest.raises(UsageError, match="prompt_wav is empty; give the path of a recording, or the name of"):
        audio_of(empty, "prompt_wav")


def test_recordings_are_told_apart(tmp_path: Path) -> None:
    """A file by its path and time, any other by its content; an open file is read once."""
    path = tmp_path / "clip.wav"
    noise(1).write(path)
    key, recording = told_apart(str(path), "prompt_wav")
    assert recording == str(path) and told_apart(path, "prompt_wav")[0] == key
    noise(2).write(path)
    assert told_apart(str(path), "prompt_wav")[0] != key

    key, recording = told_apart(io.BytesIO(path.read_bytes()), "prompt_wav")
    assert recording == Audio.read(path)
    assert told_apart(path.read_bytes(), "prompt_wav")[0] == key
    assert told_apart(noise(1).samples, "prompt_wav")[0] != key


def test_load_wav_is_upstreams(clip: str, tmp_path: Path) -> None:
    """A tensor [1, N] at the rate that is asked for; a rate below the least is told."""
    assert load_wav(clip, 16_000).shape == (1, 32_000)
    stereo = np.stack([noise(1).samples, -noise(1).samples], 1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 24_000, subtype="FLOAT")
    assert load_wav(tmp_path / "stereo.wav", 24_000).abs().max() < 1e-6
    with pytest.raises(AudioError, match="has 24000 samples a second; give one of 48000 or more"):
        load_wav(clip, 16_000, 48_000)
    with pytest.raises(AudioError, match=r"no\.wav"):
        load_wav("no.wav", 16_000)
