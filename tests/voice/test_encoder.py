"""A recording becomes a voice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.chunks import Chunking
from cosyrt.errors import AudioError, TextError, VoiceError
from cosyrt.mel import log_mel
from cosyrt.units import MelSpec
from cosyrt.voice.encoder import KEPT_TOKENS, VoiceEncoder, best_cut
from cosyrt.voice.reference import speech_tokenizer_digest
from tests.voice.onnx_models import write_campplus, write_speech_tokenizer
from tests.voice.test_reference import folder_of, noise, padded

WIDTH = 96  # samples a token
first_boundary = Chunking().first_boundary


def test_a_recording_becomes_a_voice(tmp_path: Path) -> None:
    """Tokens and mel of the recording, two frames a token, the transcript as spoken and its language."""
    audio = noise(2.03)
    made = VoiceEncoder(folder_of(tmp_path)).encode(audio, " I have 3 cats", "Ada")
    assert (made.name, made.text, made.language) == ("Ada", "I have three cats.", "en")
    assert made.family == "cosyvoice2" and made.speaker.shape == (192,)
    assert made.speech_tokens.shape == (50,) and made.mel.shape == (100, 80)
    np.testing.assert_array_equal(made.mel, log_mel(audio.samples, MelSpec()).T[:100])


def test_tokens_are_trimmed_to_the_mel_too(tmp_path: Path) -> None:
    """Where the tokenizer gives more tokens than the mel has pairs of frames, tokens are cut."""
    folder = folder_of(tmp_path)
    write_speech_tokenizer(tmp_path / "speech_tokenizer_v2.onnx", every_frames=2)
    made = VoiceEncoder(folder).encode(noise(1), "", "Ada")
    assert made.speech_tokens.shape == (25,) and made.mel.shape == (50, 80)


def test_version_1_runs_at_its_own_rate_and_is_not_trimmed(tmp_path: Path) -> None:
    """CosyVoice 1 takes a 22,050 Hz mel (upstream gives it one of 24,000 Hz) and all tokens."""
    made = VoiceEncoder(folder_of(tmp_path, "cosyvoice")).encode(noise(2), "", "Ada")
    assert made.mel.shape == (172, 80) and made.speech_tokens.shape == (50,)


def test_any_rate_of_recording_gives_the_same_lengths(tmp_path: Path) -> None:
    """Recordings at 16, 44.1 and 48 kHz give as many tokens and frames as one at 24 kHz."""
    encoder = VoiceEncoder(folder_of(tmp_path))
    for rate in (16_000, 44_100, 48_000):
        assert encoder.encode(noise(2, rate=rate), "", "Ada").mel.shape == (100, 80)


def test_no_transcript(tmp_path: Path) -> None:
    """Without a transcript the voice has an empty text and no language; one without words is refused."""
    encoder = VoiceEncoder(folder_of(tmp_path))
    made = encoder.encode(noise(1), "  ", "Ada")
    assert (made.text, made.language) == ("", None)
    with pytest.raises(TextError):
        encoder.encode(noise(1), "...", "Ada")


def test_a_bad_recording_is_refused_before_any_model_runs(tmp_path: Path) -> None:
    """Silence is refused although the folder has no encoder at all."""
    encoder = VoiceEncoder(ModelFolder(tmp_path, "cosyvoice2", {}))
    with pytest.raises(AudioError, match="silent"):
        encoder.encode(Audio(np.zeros(48_000, np.float32), 24_000), "hello", "Ada")


def test_an_encoder_of_another_width(tmp_path: Path) -> None:
    """A speaker encoder that does not give 192 numbers makes no voice."""
    folder = folder_of(tmp_path)
    write_campplus(tmp_path / "campplus.onnx", width=64)
    with pytest.raises(VoiceError, match=r"shape \[64\]"):
        VoiceEncoder(folder).encode(noise(1), "hello", "Ada")


def test_where_a_voice_is_from(tmp_path: Path) -> None:
    """Licence and consent as given, the hash of the file's bytes, the tokenizer that made the tokens."""
    folder, clip = folder_of(tmp_path), tmp_path / "clip.wav"
    noise(1).write(clip)
    made = VoiceEncoder(folder).encode(clip, "", "Ada", license="CC0-1.0", consent="Ada, by letter")
    assert (made.origin.license, made.origin.consent) == ("CC0-1.0", "Ada, by letter")
    assert made.origin.source_sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert made.origin.speech_tokenizer == speech_tokenizer_digest(folder) != ""
    in_memory = VoiceEncoder(folder).encode(noise(1), "", "Ada").origin
    assert in_memory.source_sha256 == hashlib.sha256(noise(1).samples.tobytes()).hexdigest()


def test_a_file_too_long_is_not_decoded_whole(tmp_path: Path) -> None:
    """Decoding stops where the longest reference ends: the error names that length, not the file's."""
    noise(31, rate=8_000).write(tmp_path / "long.flac")
    with pytest.raises(AudioError, match="longer than 30 s"):
        VoiceEncoder(ModelFolder(tmp_path, "cosyvoice2", {})).encode(tmp_path / "long.flac", "hello", "Ada")


@pytest.mark.parametrize(
    ("rate", "channels", "suffix"), [(8_000, 1, "wav"), (44_100, 2, "flac"), (48_000, 6, "wav")]
)
def test_any_rate_and_channels(tmp_path: Path, rate: int, channels: int, suffix: str) -> None:
    """Files of any rate and number of channels, in whatever libsndfile reads, give the same lengths."""
    import soundfile

    mono = noise(2, rate=rate).samples
    soundfile.write(tmp_path / f"clip.{suffix}", np.repeat(mono[:, None], channels, axis=1), rate)
    made = VoiceEncoder(folder_of(tmp_path)).encode(tmp_path / f"clip.{suffix}", "", "Ada")
    assert made.mel.shape == (100, 80) and made.speech_tokens.shape == (50,)


def test_what_only_ffmpeg_reads(tmp_path: Path) -> None:
    """A compressed recording (AAC) is a reference too."""
    noise(2).write(tmp_path / "clip.m4a")
    made = VoiceEncoder(folder_of(tmp_path)).encode(tmp_path / "clip.m4a", "", "Ada")
    assert len(made.mel) == 2 * len(made.speech_tokens) and 50 <= len(made.speech_tokens) <= 53


def test_silence_is_cut_for_an_early_first_chunk(tmp_path: Path) -> None:
    """Tokens and mel lose the same end, and what is left is that of the whole recording."""
    audio, folder = padded(noise(2), 0.4), folder_of(tmp_path)
    whole = VoiceEncoder(folder).encode(audio, "", "Ada")
    cut = VoiceEncoder(folder, lambda tokens: abs(tokens - 54)).encode(audio, "", "Ada")
    assert (len(whole.speech_tokens), len(cut.speech_tokens)) == (60, 54)
    np.testing.assert_array_equal(cut.speech_tokens, whole.speech_tokens[:54])
    np.testing.assert_array_equal(cut.mel, whole.mel[:108])
    np.testing.assert_array_equal(cut.speaker, whole.speaker)


def test_a_recording_may_be_trimmed(tmp_path: Path) -> None:
    """Quiet is added behind it, or the samples are kept; the digest is the recording's both ways."""
    audio, encoder = noise(2), VoiceEncoder(folder_of(tmp_path))
    kept = encoder.encode(audio, "", "Ada", as_recorded=True)
    tidy = encoder.encode(audio, "", "Ada", as_recorded=False)

    assert (len(kept.speech_tokens), len(tidy.speech_tokens)) == (50, 55)
    assert kept.origin.source_sha256 == tidy.origin.source_sha256
    np.testing.assert_array_equal(encoder.encode(audio, "", "Ada").mel, kept.mel)


def test_version_1_is_never_cut(tmp_path: Path) -> None:
    """CosyVoice 1 has no grid of chunks: its prompt stays whole."""
    audio, folder = padded(noise(2), 0.4), folder_of(tmp_path, "cosyvoice")
    made = VoiceEncoder(folder, lambda tokens: tokens).encode(audio, "", "Ada")
    assert len(made.speech_tokens) == 60


def recording(before: int, speech: int, after: int, silence: float = 0.0) -> np.ndarray:
    """A recording of silence, noise and silence, by numbers of tokens."""
    random = np.random.default_rng(0)
    levels = np.repeat([silence, 0.1, silence], [before * WIDTH, speech * WIDTH, after * WIDTH])
    return (random.standard_normal(len(levels)) * levels).astype(np.float32)


def cut(before: int, speech: int, after: int, silence: float = 0.0) -> tuple[int, int]:
    """Tokens that are cut at the beginning and at the end."""
    tokens = before + speech + after
    kept = best_cut(recording(before, speech, after, silence), tokens, first_boundary)
    return kept.start, tokens - kept.stop


@pytest.mark.parametrize(
    ("before", "speech", "after", "expected"),
    [
        (0, 63, 0, (0, 0)),  # at its best as it is: the first chunk ends after 12 tokens
        (10, 79, 10, (7, 4)),  # 99 → 88: at the beginning as far as silence goes, then at the end
        (14, 60, 0, (11, 0)),  # 74 → 63
        (0, 60, 14, (0, 11)),
        (0, 64, 0, (0, 0)),  # nothing but speech: after 36 tokens
        (6, 60, 6, (0, 0)),  # 72: nine would help, of silence there are six; less would make it later
        (0, 62, 0, (0, 0)),
        (30, 60, 0, (2, 0)),  # 90 → 88, not 63: no more than is needed
    ],
)
def test_the_cut(before: int, speech: int, after: int, expected: tuple[int, int]) -> None:
    """The least cut of silence with the earliest first boundary that can be had, from the beginning first."""
    assert cut(before, speech, after) == expected


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 40), st.integers(13, 200), st.integers(0, 40))
def test_speech_is_never_cut(before: int, speech: int, after: int) -> None:
    """Speech and a margin of silence stay; the boundary is the earliest of all allowed cuts."""
    start, end = cut(before, speech, after)
    spare = max(0, before - KEPT_TOKENS) + max(0, after - KEPT_TOKENS)
    tokens = before + speech + after
    assert start <= max(0, before - KEPT_TOKENS) and end <= max(0, after - KEPT_TOKENS)
    assert first_boundary(tokens - start - end) == min(
        first_boundary(tokens - less) for less in range(spare + 1)
    )


def test_the_noise_of_a_room_is_silence() -> None:
    """What is 46 dB below the speech is no speech, though it is not nothing; 34 dB below it may be an [f]."""
    assert cut(14, 60, 0, silence=0.0005) == (11, 0)
    assert cut(14, 60, 0, silence=0.002) == (0, 0)


def test_an_offset_is_no_sound() -> None:
    """A microphone's constant offset does not hide silence."""
    kept = best_cut(recording(14, 60, 0) + np.float32(0.2), 74, first_boundary)
    assert kept == slice(11, 74)


def test_the_best_first_chunk_takes_12_tokens() -> None:
    """With CosyVoice 2's grid the first chunk ends after 12 tokens at best and 36 at worst."""
    boundaries = [first_boundary(tokens) for tokens in range(25, 50)]
    assert (min(boundaries), max(boundaries)) == (12, 36)
    assert first_boundary(25 + 13) == 12 and first_boundary(25 + 14) == 36
