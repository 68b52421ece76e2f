"""Recordings that another voice is to say again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import AudioError
from cosyrt.voice.conversion import recording_tokens, split_recording
from cosyrt.voice.reference import ENCODER_HZ


def noise(seconds: float, rate: int = ENCODER_HZ) -> Audio:
    samples = np.random.default_rng(0).standard_normal(int(seconds * rate)) / 10
    return Audio(samples.astype(np.float32), rate)


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    """The cut lies in the pause of the last five seconds, not in an earlier one or in the sound."""
    samples = noise(70).samples.copy()
    for second in (10.0, 26.4, 53.0):
        at = int(second * ENCODER_HZ)
        samples[at : at + ENCODER_HZ // 2] = 0
    cuts = np.cumsum([len(part) for part in split_recording(samples)]) / ENCODER_HZ

    assert 26.4 < cuts[0] < 26.9
    assert 53.0 < cuts[1] < 53.5
    assert cuts[2] == 70


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 100 * ENCODER_HZ))
def test_parts_are_the_whole(length: int) -> None:
    """Whatever the length, nothing is lost and no part is longer than the tokenizer takes."""
    samples = np.arange(length, dtype=np.float32) % 97
    cut = list(split_recording(samples))

    assert np.array_equal(np.concatenate(cut), samples)
    assert max(map(len, cut)) <= 30 * ENCODER_HZ
    assert len(cut) == 1 or len(cut[-1]) >= ENCODER_HZ // 10


def test_a_recording_of_any_rate_becomes_tokens(tiny_folder: Path) -> None:
    """25 tokens a second, whatever the rate; a long one in parts that are made when they are asked for."""
    folder = ModelFolder.open(tiny_folder)
    (short,) = recording_tokens(folder, noise(2, 44_100))
    long = recording_tokens(folder, noise(50))

    assert 48 <= len(short) <= 50
    assert [500 <= len(part) <= 750 for part in long] == [True, True]


def test_a_recording_too_short_is_refused(tiny_folder: Path) -> None:
    """Less than a tenth of a second is one line of error, before any model is opened."""
    with pytest.raises(AudioError, match=r"the recording is 0.05 s long; give at least 0.1 s"):
        recording_tokens(ModelFolder.open(tiny_folder), noise(0.05))


def test_a_recording_of_few_samples_a_second_is_refused(tiny_folder: Path) -> None:
    """Else a header of 1 Hz would make sixteen thousand samples of each."""
    with pytest.raises(AudioError, match="the recording has 7999 samples a second; record it at 16000 or m"):
        recording_tokens(ModelFolder.open(tiny_folder), noise(1, 7_999))
    assert recording_tokens(ModelFolder.open(tiny_folder), noise(1, 8_000))
