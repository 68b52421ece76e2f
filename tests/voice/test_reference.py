"""Reference audio: its checks, and the arrays that models take from it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.errors import AudioError, ConfigError, ModelNotFound, WeightsError
from cosyrt.units import MelSpec
from cosyrt.voice.reference import (
    check_reference,
    mel_spec,
    speaker_features,
    speaker_vector,
    speech_tokenizer_digest,
    speech_tokens,
    warn_if_narrowband,
)
from tests.voice.onnx_models import write_campplus, write_speech_tokenizer


def noise(seconds: float, level: float = 0.1, rate: int = 24_000) -> Audio:
    samples = np.random.default_rng(0).standard_normal(int(seconds * rate)) * level
    return Audio(np.clip(samples, -1, 1).astype(np.float32), rate)


def padded(audio: Audio, seconds: float) -> Audio:
    return Audio.join([audio, Audio(np.zeros(int(seconds * audio.rate), np.float32), audio.rate)])


def folder_of(path: Path, family: str = "cosyvoice2") -> ModelFolder:
    write_speech_tokenizer(path / f"speech_tokenizer_v{family[9:] or 1}.onnx")
    write_campplus(path / "campplus.onnx")
    return ModelFolder(path, family, {})


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (noise(0.5), r"0\.50 s long.*give 1 to 30 s"),
        (noise(30.1), r"30\.10 s long.*give 1 to 30 s"),
        (noise(2, rate=7_999), "7999 samples a second; record it at 16000"),
        (noise(2, rate=30), "30 samples a second; record it at 16000"),
        (Audio(np.full(48_000, 0.5, np.float32), 24_000), r"silent: 0\.00 s"),
        (noise(2, level=0.001), r"silent: 0\.00 s .*louder"),
        (padded(noise(0.2), 3), r"silent: 0\.20 s .*at least 0\.5 s"),
        (noise(2, level=2.0), r"clipped: 6\d\.\d% .*quieter"),
    ],
)
def test_unfit_recordings(audio: Audio, words: str) -> None:
    """A recording that is too short, long, narrow, quiet or clipped is refused with its value and the fix."""
    with pytest.raises(AudioError, match=words) as caught:
        check_reference(audio)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "audio",
    [
        noise(1),
        noise(30),
        noise(3, level=0.02),
        noise(3, rate=48_000),
        noise(3, rate=8_000),
        padded(noise(1), 5),
    ],
)
def test_fit_recordings(audio: Audio) -> None:
    """Recordings at the limits, quiet ones and ones with pauses pass."""
    check_reference(audio)


def test_a_recording_of_the_telephone_is_dull(caplog: pytest.LogCaptureFixture) -> None:
    """Below 16,000 samples a second a voice is made, with a warning; from there on without."""
    warn_if_narrowband(noise(2, rate=16_000))
    assert not caplog.messages
    warn_if_narrowband(noise(2, rate=11_025))
    assert "11025 samples a second: the voice will be dull" in caplog.text


def test_a_speech_tokenizer_has_a_digest(tmp_path: Path) -> None:
    """Equal files have equal ones, whatever their place; one byte changed in a small file changes it."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    assert speech_tokenizer_digest(ModelFolder(one, "cosyvoice2", {})) == ""
    mine, same = speech_tokenizer_digest(folder_of(one)), speech_tokenizer_digest(folder_of(other))
    assert mine == same and len(mine) == 32
    path = other / "speech_tokenizer_v2.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert speech_tokenizer_digest(ModelFolder(other, "cosyvoice2", {})) != mine


def test_the_digest_of_a_large_file_is_of_blocks(tmp_path: Path) -> None:
    """The beginning, the end and blocks between are looked at: another training is always seen."""
    path, folder = tmp_path / "speech_tokenizer_v2.onnx", ModelFolder(tmp_path, "cosyvoice2", {})
    data = np.random.default_rng(0).bytes(8_000_000)
    path.write_bytes(data)
    first = speech_tokenizer_digest(folder)
    for changed in (
        data[:-1] + b"x",
        b"x" + data[1:],
        np.random.default_rng(1).bytes(8_000_000),
        data + b"x",
    ):
        path.write_bytes(changed)
        os.utime(path, ns=(len(changed), hash(changed) % 10**9))
        assert speech_tokenizer_digest(folder) != first


def kaldi_fbank(samples: np.ndarray) -> np.ndarray:
    """Kaldi's compute-fbank-feats with 80 bins and no dither, written from its documentation."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(frames * povey, 512)) ** 2
    mel_of_bin = 1_127 * np.log(1 + np.arange(257) * (16_000 / 512) / 700)
    low, high = 1_127 * np.log(1 + np.array([20, 8_000]) / 700)
    boundaries = np.linspace(low, high, 82)[:, None]
    rising = (mel_of_bin - boundaries[:-2]) / (boundaries[1:-1] - boundaries[:-2])
    falling = (boundaries[2:] - mel_of_bin) / (boundaries[2:] - boundaries[1:-1])
    bank = np.maximum(0, np.minimum(rising, falling))
    bank[:, 256] = 0  # Kaldi leaves out the Nyquist bin
    return np.log(np.maximum(power @ bank.T, np.finfo(np.float32).eps))


def test_speaker_features_are_kaldis() -> None:
    """The input of CAM++ is Kaldi's filterbank of the samples in [-1, 1], its mean over time removed."""
    samples = noise(1, rate=16_000).samples
    features, expected = speaker_features(samples), kaldi_fbank(samples)
    assert features.shape == (98, 80) and features.dtype == np.float32
    np.testing.assert_allclose(features, expected - expected.mean(axis=0), atol=2e-3)


def test_tokenizer_inputs_go_by_position(tmp_path: Path) -> None:
    """The speech tokenizer gets the Whisper mel and its length whatever it calls them; ids come flat."""
    tokens = speech_tokens(folder_of(tmp_path), noise(2, rate=16_000).samples)
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokens, 200 + np.arange(50))


def test_speaker_vector(tmp_path: Path) -> None:
    """The speaker vector is a flat row, the same each time, and differs between recordings."""
    folder = folder_of(tmp_path)
    one = speaker_vector(folder, noise(2, rate=16_000).samples)
    again = speaker_vector(folder, noise(2, rate=16_000).samples)
    other = speaker_vector(folder, noise(3, level=0.2, rate=16_000).samples)
    assert one.shape == (192,) and one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("family", ["cosyvoice", "cosyvoice2", "cosyvoice3"])
def test_each_family_has_its_tokenizer(tmp_path: Path, family: str) -> None:
    """The file name of the speech tokenizer follows the family; a missing one is named."""
    folder = folder_of(tmp_path, family)
    assert len(speech_tokens(folder, noise(1, rate=16_000).samples)) == 25
    for path in tmp_path.glob("speech*"):
        path.unlink()
    with pytest.raises(ModelNotFound, match=f"speech_tokenizer_v{family[9:] or 1}.onnx"):
        speech_tokens(folder, noise(1, rate=16_000).samples)


def test_a_replaced_file_is_opened_again(tmp_path: Path) -> None:
    """Sessions are kept by file and its time: a new file at the same path is used at once."""
    folder = folder_of(tmp_path)
    samples = noise(1, rate=16_000).samples
    assert len(speech_tokens(folder, samples)) == 25
    path = tmp_path / "speech_tokenizer_v2.onnx"
    write_speech_tokenizer(path, every_frames=2)
    os.utime(path, ns=(1, 1))
    assert len(speech_tokens(folder, samples)) == 50


def test_damaged_encoders_are_one_line(tmp_path: Path) -> None:
    """A file that is no ONNX model, or has other inputs, is refused by name."""
    folder = folder_of(tmp_path)
    samples = noise(1, rate=16_000).samples
    write_campplus(tmp_path / "speech_tokenizer_v2.onnx")
    (tmp_path / "campplus.onnx").write_bytes(b"not a model")
    for use, words in ((speech_tokens, "cannot be run"), (speaker_vector, "not a whole ONNX file")):
        with pytest.raises(WeightsError, match=words) as caught:
            use(folder, samples)
        assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_mel_comes_from_the_description(tmp_path: Path) -> None:
    """The mel of a model is its own `feat_extractor`, else its family's."""
    args = {"n_fft": 1920, "num_mels": 80, "sampling_rate": 24_000, "hop_size": 480, "win_size": 1920}
    node = Tagged(
        "matcha.utils.audio.mel_spectrogram", args | {"fmin": 0, "fmax": None, "center": False}, "name"
    )
    assert mel_spec(ModelFolder(tmp_path, "cosyvoice2", {"feat_extractor": node})) == MelSpec(fmax=None)
    assert mel_spec(ModelFolder(tmp_path, "cosyvoice2", {})) == MelSpec()
    assert mel_spec(ModelFolder(tmp_path, "cosyvoice3", {})).fmax is None
    assert mel_spec(ModelFolder(tmp_path, "cosyvoice", {})).sample_hz == 22_050


def test_a_mel_that_is_no_number(tmp_path: Path) -> None:
    """Text where a number belongs is the description's error."""
    args = {"n_fft": "many", "num_mels": 80, "sampling_rate": 24_000, "hop_size": 480, "win_size": 1920}
    node = Tagged("mel", args | {"fmin": 0, "fmax": None})
    with pytest.raises(ConfigError, match="'many'"):
        mel_spec(ModelFolder(tmp_path, "cosyvoice2", {"feat_extractor": node}))
