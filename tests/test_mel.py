"""Log-mel spectrograms, held against upstream's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosyrt.errors import AudioError
from cosyrt.mel import log_mel, whisper_log_mel
from cosyrt.units import MelSpec

GOLDEN = Path(__file__).parent / "golden" / "features.npz"
V1 = MelSpec(sample_hz=22_050, n_fft=1_024, win=1_024, hop=256)


@pytest.mark.parametrize(
    ("samples", "spec", "expected"),
    [
        ("audio_24000", MelSpec(), "mel_24000"),
        ("audio_24000", MelSpec(fmax=None), "mel_24000_fmax_null"),
        ("audio_22050", V1, "mel_22050"),
    ],
)
def test_mel_equals_upstream(samples: str, spec: MelSpec, expected: str) -> None:
    """The mel of every model version is upstream's, whatever other versions this process has used."""
    with np.load(GOLDEN) as golden:
        mel, want = log_mel(golden[samples], spec), golden[expected]
    assert mel.shape == want.shape and mel.dtype == np.float32
    assert np.abs(mel - want).max() <= 1e-4 * np.abs(want).max()


def test_whisper_mel_equals_upstream() -> None:
    """The input of the speech tokenizer is Whisper's log-mel."""
    with np.load(GOLDEN) as golden:
        mel, want = whisper_log_mel(golden["audio_16000"]), golden["whisper_logmel_128"]
    assert mel.shape == want.shape and mel.dtype == np.float32
    assert np.abs(mel - want).max() <= 1e-4 * np.abs(want).max()


def test_blocks_of_frames_leave_no_seam() -> None:
    """Long audio, analysed in blocks, has the same frames as its pieces."""
    samples = np.random.default_rng(0).standard_normal(480 * 1_300).astype(np.float32) * 0.1
    whole = log_mel(samples, MelSpec())
    part = log_mel(samples[480 * 400 : 480 * 1_200], MelSpec())
    assert whole.shape == (80, 1_300)
    np.testing.assert_allclose(whole[:, 402:1_198], part[:, 2:798], atol=1e-4)


def test_multiples_of_a_token_give_two_frames_each() -> None:
    """N samples give exactly N / 480 mel frames when N is a multiple of 480."""
    assert log_mel(np.zeros(9_600, np.float32), MelSpec()).shape == (80, 20)


@pytest.mark.parametrize("count_samples", [1, 10, 479])
def test_less_than_a_frame_gives_no_mel(count_samples: int) -> None:
    """Audio shorter than one frame has zero mel frames instead of failing inside the padding."""
    samples = np.full(count_samples, 0.1, np.float32)
    assert log_mel(samples, MelSpec()).shape == (80, 0)
    assert whisper_log_mel(samples).shape == (128, count_samples // 160)


def test_no_samples_cannot_be_analysed() -> None:
    """Empty audio is the user's error, said in one line."""
    with pytest.raises(AudioError, match="no samples"):
        log_mel(np.zeros(0, np.float32), MelSpec())
