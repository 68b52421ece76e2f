"""Voices: from a recording, from a model folder, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio, MelSpec, log_mel
from cosyrt.checkpoint import ModelFolder, write_voices
from cosyrt.errors import AudioError, TextError, VoiceError
from cosyrt.frontend.voice import Voice, VoiceEncoder, voices_of
from tests.frontend.onnx_models import write_campplus, write_speech_tokenizer
from tests.frontend.test_reference import folder_of, noise
from tests.frontend.test_tokenizer import WORDS, write_qwen2


def voice(count_tokens: int = 5, **changes: Any) -> Voice:
    values: dict[str, Any] = {
        "name": "Ada",
        "speaker": np.arange(192) / 192,
        "speech_tokens": np.arange(count_tokens),
        "mel": np.full((2 * count_tokens, 80), -1.5),
        "text": "Hello, 你好.",
        "language": "en",
    }
    return Voice(**(values | changes))


def assert_same(one: Voice, other: Voice) -> None:
    for field in ("name", "text", "language", "family"):
        assert getattr(one, field) == getattr(other, field)
    for field in ("speaker", "speech_tokens", "mel"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_arrays_are_typed_and_read_only() -> None:
    """Arrays are kept as float32 and int64 of their own, and nobody can write into a shared voice."""
    speaker = np.zeros(192)
    made = voice(speaker=speaker)
    speaker[0] = 1
    assert (made.speaker[0], made.speaker.dtype, made.speech_tokens.dtype) == (0, np.float32, np.int64)
    for array in (made.speaker, made.speech_tokens, made.mel):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speaker": np.zeros(191)}, r"shape \[191\] instead of \[192\]"),
        ({"mel": np.zeros((9, 80))}, "5 speech tokens and 9 mel frames"),
        ({"mel": np.zeros((10, 79))}, r"mel of shape \[10, 79\]"),
        ({"speech_tokens": np.zeros((1, 5))}, r"speech tokens of shape \[1, 5\]"),
        ({"speaker": np.full(192, np.nan)}, "not finite"),
        ({"speech_tokens": np.arange(5) - 1}, "below 0"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, Any], words: str) -> None:
    """A voice whose arrays are of wrong shapes or values cannot be made."""
    with pytest.raises(VoiceError, match=words):
        voice(**changes)


def test_version_1_mel_may_have_any_length() -> None:
    """CosyVoice 1 has 1.72 mel frames a token, so its lengths are free."""
    assert len(voice(family="cosyvoice", mel=np.zeros((9, 80))).mel) == 9


@pytest.mark.parametrize("made", [voice(), voice(0, text="", language=None, family="cosyvoice3")])
def test_a_saved_voice_comes_back(tmp_path: Path, made: Voice) -> None:
    """Saving and loading keeps every field, also of a voice without a prompt."""
    made.save(tmp_path / "ada.safetensors")
    assert_same(Voice.load(tmp_path / "ada.safetensors"), made)
    assert list(tmp_path.iterdir()) == [tmp_path / "ada.safetensors"]


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A missing folder is a VoiceError that says so."""
    with pytest.raises(VoiceError, match="No such file"):
        voice().save(tmp_path / "missing" / "ada.safetensors")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1200), st.booleans())
def test_damaged_voice_files(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int, cut: bool
) -> None:
    """A damaged file is a voice with other numbers or one line of VoiceError, never another error."""
    path = tmp_path_factory.mktemp("voice") / "ada.safetensors"
    voice().save(path)
    data = bytearray(path.read_bytes())
    data[at : len(data) if cut else at + len(junk)] = junk
    path.write_bytes(bytes(data))
    try:
        Voice.load(path)
    except VoiceError as error:
        assert "\n" not in str(error)


def test_files_that_are_no_voice(tmp_path: Path) -> None:
    """A missing file, another safetensors file, one of a later version and a huge one are told apart."""
    from safetensors.numpy import save_file

    other, later, huge = (tmp_path / name for name in ("other", "later", "huge"))
    save_file({"weight": np.zeros(3)}, other)
    save_file({"speaker": np.zeros(3)}, later, metadata={"format": "cosyrt voice 9"})
    save_file({"speaker": np.zeros(2_000_000)}, huge)
    for path, words in [
        (tmp_path / "missing", "No such file"),
        (other, "no voice file: it lacks 'name'"),
        (later, "'cosyrt voice 9'"),
        (huge, "larger than"),
    ]:
        with pytest.raises(VoiceError, match=words):
            Voice.load(path)


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


def upstream_entry(count_tokens: int = 5) -> dict[str, torch.Tensor]:
    tokens = torch.arange(count_tokens, dtype=torch.int32)[None]
    speaker = torch.linspace(0, 1, 192)[None]
    return {
        "prompt_text": torch.tensor([[WORDS.index("hello"), WORDS.index("Ġhello")]], dtype=torch.int32),
        "prompt_text_len": torch.tensor([2], dtype=torch.int32),
        "llm_prompt_speech_token": tokens,
        "llm_prompt_speech_token_len": torch.tensor([count_tokens], dtype=torch.int32),
        "flow_prompt_speech_token": tokens,
        "flow_prompt_speech_token_len": torch.tensor([count_tokens], dtype=torch.int32),
        "prompt_speech_feat": torch.full((1, 2 * count_tokens, 80), -2.0),
        "prompt_speech_feat_len": torch.tensor([2 * count_tokens], dtype=torch.int32),
        "llm_embedding": speaker,
        "flow_embedding": speaker,
    }


def test_voices_of_an_official_folder(tmp_path: Path) -> None:
    """Presets (an embedding) and saved references (upstream's whole input) of `spk2info.pt` become voices."""
    write_qwen2(tmp_path / "CosyVoice-BlankEN", WORDS)
    preset = {"embedding": torch.ones(1, 192, dtype=torch.bfloat16)}
    torch.save({"中文女": preset, "Ada": upstream_entry()}, tmp_path / "spk2info.pt")
    voices = voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))
    assert list(voices) == ["中文女", "Ada"]
    assert voices["中文女"].speaker.sum() == 192 and len(voices["中文女"].mel) == 0
    assert (voices["Ada"].text, voices["Ada"].language) == ("hello hello", "en")
    assert voices["Ada"].speech_tokens.tolist() == [0, 1, 2, 3, 4] and voices["Ada"].mel.shape == (10, 80)


def test_a_voice_in_a_folder_comes_back(tmp_path: Path) -> None:
    """`fields` is what `voices_of` reads: through the folder's safetensors file nothing is lost."""
    made = {"Ada": voice(), "Bob": voice(0, name="Bob", text="", language=None)}
    entries = {
        name: {
            key: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
            for key, value in each.fields().items()
        }
        for name, each in made.items()
    }
    write_voices(tmp_path / "spk2info.safetensors", entries)
    back = voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))
    assert set(back) == set(made)
    for name, each in made.items():
        assert_same(back[name], each)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"text": "hello"}, "'Ada' has no 'embedding'"),
        ({"embedding": "loud"}, "'Ada' cannot be read"),
        ({"embedding": torch.ones(1, 100)}, r"'Ada' has a speaker vector of shape \[100\]"),
        (upstream_entry() | {"prompt_speech_feat": torch.ones(1, 9, 80), "text": ""}, "9 mel frames"),
    ],
)
def test_entries_that_are_no_voice(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    """An entry that lacks something or does not fit is refused with the voice's name."""
    torch.save({"Ada": entry}, tmp_path / "spk2info.pt")
    with pytest.raises(VoiceError, match=words) as caught:
        voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))
    assert "\n" not in str(caught.value)


def test_a_folder_without_voices(tmp_path: Path) -> None:
    """A folder without `spk2info` has no voices, and needs no tokenizer for that."""
    assert voices_of(ModelFolder(tmp_path, "cosyvoice2", {})) == {}
