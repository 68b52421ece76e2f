"""Arguments of the wrong kind: each is used where that makes sense, else refused in one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosyrt.arguments import checked_items, mono_floats, number_of, path_of, shown
from cosyrt.audio import Audio
from cosyrt.errors import AudioError, UsageError
from cosyrt.voice.voice import Voice

TONE = (0.3 * np.sin(np.arange(2_400) * 0.05)).astype(np.float32)
AUDIO = Audio(TONE, 24_000)
# Values that are no path, no sound, no voice and no text.
STRANGE: list[Any] = [None, -3, 1.5, True, object(), int, {"a": 1}, {1, 2}, (1, 2), range(3), lambda: 0, ...]


class Unprintable:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def refused(call: Any, *arguments: Any, **named: Any) -> None:
    """The call is a UsageError or AudioError of one line."""
    with pytest.raises((UsageError, AudioError)) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [*STRANGE, Unprintable()], ids=lambda value: type(value).__name__)
def test_what_is_nothing_of_use_is_a_usage_error(value: Any) -> None:
    """No value of a strange kind ends in an error of Python's own."""
    for call in (Audio.read, AUDIO.write, Voice.load, Audio.join, path_of_it):
        with pytest.raises(UsageError):
            call(value)
    refused(Audio, value, 24_000)
    refused(AUDIO.resample, value)
    refused(AUDIO.to_bytes, value)
    refused(Audio, TONE, value)
    refused(lambda: AUDIO + value)
    refused(lambda: value + AUDIO)


def path_of_it(value: Any) -> Path:
    """The path that a value is."""
    return path_of(value, "a file is")


def test_sound_is_read_from_whatever_holds_it(tmp_path: Path) -> None:
    """A path as str or object, bytes of any kind, files and readers, and an Audio are the same sound."""
    path = tmp_path / "a.wav"
    AUDIO.write(path)
    data = path.read_bytes()
    first = Audio.read(path)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (
            str(path),
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
            raw,
            first,
        ):
            assert Audio.read(source) == first  # type: ignore[arg-type]


def test_samples_without_their_rate_are_told_what_to_do() -> None:
    """Arrays, lists and pairs of samples and rate cannot be read, but make an Audio."""
    for source in (TONE, TONE.tolist(), (24_000, TONE), np.int16([1, 2])):
        with pytest.raises(UsageError, match=r"Audio\(samples, rate\)"):
            Audio.read(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "bfloat16"])
def test_samples_come_from_tensors_and_lists(kind: str) -> None:
    """Tensors of any floats, with a gradient or one row, arrays, lists and tuples are copied."""
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([0.5, -0.25, 0.0], dtype=getattr(torch, kind))
    for given in (tensor, tensor[None], tensor.clone().requires_grad_(), tensor.float().numpy()[None]):
        assert Audio(given, 8_000).samples.tolist() == [0.5, -0.25, 0.0]
    assert Audio([0.5, -0.25], 8_000) == Audio((0.5, -0.25), 8_000)  # type: ignore[arg-type]


def test_samples_of_other_shapes_and_kinds_are_refused() -> None:
    """Stereo, whole numbers, complex numbers, words and rows of different lengths are no mono floats."""
    torch = pytest.importorskip("torch")
    for given in (
        np.zeros((2, 3), np.float32),
        np.zeros((1, 1, 3), np.float32),
        np.zeros(3, np.int16),
        np.zeros(3, complex),
        torch.zeros(3, dtype=torch.int16),
        torch.zeros(3, device="meta"),
        torch.zeros(3).to_sparse(),
        [[1.0], [1.0, 2.0]],
        ["a", "b"],
        "sound.wav",
        b"RIFF",
    ):
        refused(mono_floats, given)


def test_audio_does_not_alias_its_input() -> None:
    """Writing into the array or tensor that it was made of changes nothing."""
    torch = pytest.importorskip("torch")
    array, tensor = TONE.copy(), torch.from_numpy(TONE.copy())
    first, second, third = Audio(array, 24_000), Audio(tensor, 24_000), Audio(array[None], 24_000)
    array[:], tensor[:] = 0, 0

    assert first == second == third == AUDIO


def test_audio_is_written_into_open_files(tmp_path: Path) -> None:
    """The format is the one asked for, the suffix of the file's name, or WAV; the file stays open."""
    memory = io.BytesIO(b"")
    AUDIO.write(memory)
    assert memory.getvalue() == AUDIO.to_bytes("wav")
    AUDIO.write(memory, "flac")
    assert memory.getvalue() == AUDIO.to_bytes("wav") + AUDIO.to_bytes("flac")
    with (tmp_path / "a.flac").open("wb") as file:
        AUDIO.write(file)
    assert (tmp_path / "a.flac").read_bytes() == AUDIO.to_bytes("flac")

    memory.close()
    with (tmp_path / "a.flac").open("rb") as reading, (tmp_path / "b.wav").open("w") as text:
        for wrong in (memory, reading, text, io.StringIO()):
            with pytest.raises(UsageError, match="open it in binary mode for writing"):
                AUDIO.write(wrong, "wav")  # type: ignore[arg-type]


def test_numbers_in_arrays() -> None:
    """An array or tensor of one number is that number; of several it is itself."""
    several = np.zeros(2)

    assert number_of(np.array(1.5)) == 1.5 and number_of(np.float32([2])) == 2
    assert number_of(several) is several and number_of("1") == "1"


def test_items_are_checked_one_by_one() -> None:
    """The item of another kind is named."""
    assert checked_items(iter([1, 2]), int, "cannot add") == [1, 2]
    with pytest.raises(UsageError, match="cannot add 'b'; give only int"):
        checked_items([1, "b"], int, "cannot add")


def test_values_are_shown_in_one_short_line() -> None:
    """Long values are cut, and those that cannot be shown are named by their class."""
    assert len(shown(np.zeros(100_000))) <= 80 and "\n" not in shown("a\n" * 9)
    assert shown(Unprintable()) == "a Unprintable"


@pytest.mark.skipif(sys.platform == "win32", reason="bytes are paths of POSIX systems")
def test_bytes_are_what_is_in_a_file_and_never_its_path() -> None:
    """A path given as bytes is refused where a path is meant."""
    for call in (AUDIO.write, Voice.load, path_of_it):
        with pytest.raises(UsageError, match=r"a str or pathlib\.Path, not b'/tmp"):
            call(b"/tmp/a.wav")


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `~` in front is the home folder; of somebody unknown it is a name like any other."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/a.wav", "audio is") == tmp_path / "a.wav"
    assert path_of("a/~/b", "audio is") == Path("a/~/b")
    assert path_of("~nobody-here/a", "audio is") == Path("~nobody-here/a")
