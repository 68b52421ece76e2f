"""A voice and its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.errors import VoiceError
from cosyrt.voice.voice import ARRAYS, FORMAT, Origin, Voice


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
    for field in ("name", "text", "language", "family", "origin"):
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
        ({"family": "cosyvoice9"}, "the family 'cosyvoice9', which none of cosyvoice, cosyvoice2"),
        ({"mel": np.full((10, 80), 1e300)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, Any], words: str) -> None:
    """A voice whose arrays are of wrong shapes or values cannot be made."""
    with pytest.raises(VoiceError, match=words):
        voice(**changes)


def test_version_1_mel_may_have_any_length() -> None:
    """CosyVoice 1 has 1.72 mel frames a token, so its lengths are free."""
    assert len(voice(family="cosyvoice", mel=np.zeros((9, 80))).mel) == 9


ORIGIN = Origin(
    license="CC0-1.0", consent="Ada, 2026-11-21: anything", source_sha256="ab", speech_tokenizer="c"
)


@pytest.mark.parametrize(
    "made", [voice(), voice(0, text="", language=None, family="cosyvoice3"), voice(origin=ORIGIN)]
)
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


NUMBERS = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
FACTS = {"format": FORMAT, "name": "Ada", "text": "Hello.", "family": "cosyvoice2"}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*ARRAYS, "other"]),
        st.tuples(st.sampled_from(NUMBERS), st.lists(st.sampled_from([0, 1, 5, 10, 80, 192]), max_size=3)),
    ),
    st.dictionaries(st.sampled_from([*FACTS, "language", "license"]), st.text(max_size=20)),
)
def test_files_of_other_tensors(
    tmp_path_factory: pytest.TempPathFactory,
    arrays: dict[str, tuple[str, list[int]]],
    facts: dict[str, str],
) -> None:
    """Whatever tensors and facts a file holds, it is a voice or one line of VoiceError."""
    from safetensors.numpy import save_file

    path = tmp_path_factory.mktemp("voice") / "ada.safetensors"
    save_file({key: np.ones(shape, kind) for key, (kind, shape) in arrays.items()}, path, FACTS | facts)
    try:
        Voice.load(path)
    except VoiceError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "U64", "F64"])
def test_types_that_a_voice_does_not_have(tmp_path: Path, kind: str) -> None:
    """A mel of another type, of those too that numpy does not know, is refused in one line."""
    path = tmp_path / "ada.safetensors"
    voice().save(path)
    path.write_bytes(path.read_bytes().replace(b'{"dtype":"F32","shape":[10,80]', header(kind)))
    with pytest.raises(VoiceError) as caught:
        Voice.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def header(kind: str) -> bytes:
    """A header of equal length with another type, and as many numbers as then fit."""
    count = 10 * 80 * 4 // {"BF16": 2, "F8_E4M3": 1}.get(kind, 8)
    return f'{{"dtype":"{kind}","shape":[{count // 80},80]'.encode().ljust(30)[:40]


@pytest.mark.parametrize("length", [2**63, 2**40, 10**8, 1_000])
def test_headers_that_lie_about_their_length(tmp_path: Path, length: int) -> None:
    """A header that claims to be larger than the file, or is no JSON, is refused in one line."""
    path = tmp_path / "ada.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"[" * 1_000)
    with pytest.raises(VoiceError, match="cannot read the voice") as caught:
        Voice.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_the_first_release_is_read(tmp_path: Path) -> None:
    """Files without licence, consent and the rest are voices of the same format: these are empty then."""
    from safetensors.numpy import save_file

    made = voice(language=None)
    save_file({key: getattr(made, key) for key in ARRAYS}, tmp_path / "ada", FACTS | {"text": made.text})
    assert_same(Voice.load(tmp_path / "ada"), made)


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


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "x" * 4_001},
        {"text": "x" * 7_000_000},
        {"language": "x" * 4_001},
        {"name": "x" * 501},
        {"origin": Origin(license="x" * 4_001)},
        {"origin": Origin(consent="x" * 4_001)},
        {"origin": Origin(speech_tokenizer="x" * 4_001)},
        {"count_tokens": 3_001},
        {"family": "cosyvoice", "mel": np.zeros((6_001, 80))},
    ],
)
def test_every_field_has_a_most(changes: dict[str, Any]) -> None:
    """A voice with more than a recording of thirty seconds can give is refused in one short line."""
    with pytest.raises(VoiceError, match="instead of at most") as refused:
        voice(**changes)
    assert len(str(refused.value)) < 300


def test_thirty_seconds_are_a_voice() -> None:
    """The longest recording that is read, with a transcript spoken fast, is within the limits."""
    assert voice(1_500, text="word " * 200).prompt_s == pytest.approx(60)


def test_a_voice_goes_through_bytes() -> None:
    """What `to_bytes` made is the same voice again; an error names what it was called."""
    made = voice()
    assert_same(Voice.from_bytes(made.to_bytes()), made)
    with pytest.raises(VoiceError, match="cannot read the voice voice_1: "):
        Voice.from_bytes(b"{}", "voice_1")
