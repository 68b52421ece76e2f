"""Audio files in and out, and resampling."""

from __future__ import annotations

import base64
import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.errors import AudioError, UsageError
from cosyrt.formats import FORMATS

FILES = [name for name, format in FORMATS.items() if format.has_metadata]


def tone(seconds: float = 1.0, rate: int = 24_000, hz: float = 440.0) -> Audio:
    time_s = np.arange(int(seconds * rate)) / rate
    return Audio((0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32), rate)


def loudest_hz(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples))
    return float(spectrum.argmax() * audio.rate / len(audio.samples))


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_every_format_comes_back(format: str, rate: int, tmp_path: Path) -> None:
    """What is written in each format is read back: same pitch and loudness, same length to a codec frame."""
    audio, path = tone(1.5, rate), tmp_path / f"a.{format}"
    audio.write(path)
    back = Audio.read(path)
    assert back.seconds == pytest.approx(1.5, abs=3 * 1_024 / rate)
    assert loudest_hz(back) == pytest.approx(440, abs=3)
    assert np.abs(back.samples).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_lossless_formats_keep_16_bits(format: str) -> None:
    """WAV and FLAC differ from the audio by at most the rounding to 16 bits."""
    audio = tone()
    back = Audio.read(io.BytesIO(audio.to_bytes(format)))
    np.testing.assert_allclose(back.samples, audio.samples, atol=1 / 30_000)


def test_pcm_is_bare_little_endian() -> None:
    """`pcm` is 16-bit little-endian samples and nothing else; beyond full scale is clipped, not wrapped."""
    data = Audio(np.array([0.0, 1.0, -1.0, 2.0], np.float32), 24_000).to_bytes("pcm")
    assert struct.unpack("<4h", data) == (0, 32_767, -32_767, 32_767)


def test_ogg_pages_are_short() -> None:
    """Opus comes in pages of 20 ms, so that a player starts at once."""
    assert tone(1.0).to_bytes("opus").count(b"OggS") > 40


def test_stereo_becomes_mono() -> None:
    """Channels are averaged, through libsndfile and through FFmpeg."""
    import av
    import soundfile

    left = tone().samples
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    wav, m4a = io.BytesIO(), io.BytesIO()
    soundfile.write(wav, stereo, 24_000, format="WAV")
    with av.open(m4a, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=24_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo.T), format="fltp", layout="stereo")
        frame.sample_rate = 24_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for data in (wav, m4a):
        data.seek(0)
        back = Audio.read(data).samples
        assert back.ndim == 1
        assert np.abs(back).max() == pytest.approx(0.25, abs=0.03)


def test_resampling_keeps_the_sound() -> None:
    """A tone stays the same tone at the new rate, and the length follows the rate."""
    audio = tone(1.0, 24_000).resample(16_000)
    assert (audio.rate, len(audio.samples)) == (16_000, 16_000)
    np.testing.assert_allclose(audio.samples[500:-500], tone(1.0, 16_000).samples[500:-500], atol=1e-3)


def test_join_puts_one_after_the_other() -> None:
    """Joined audio is the parts in order; parts of different rates are refused."""
    first, second = tone(0.1), tone(0.2)
    joined = Audio.join([first, second])
    np.testing.assert_array_equal(joined.samples, np.concatenate([first.samples, second.samples]))
    with pytest.raises(AudioError, match=r"\[16000, 24000\]"):
        Audio.join([first, tone(0.1, 16_000)])
    with pytest.raises(AudioError, match="cannot join no audio; give one part"):
        Audio.join([])


def test_unreadable_files_say_so_in_one_line(tmp_path: Path) -> None:
    """A missing file, a folder, a text file, an empty file and a recording of nothing: one line each."""
    (tmp_path / "text.wav").write_text("not audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    empty = bytearray(tone(0.1).to_bytes("wav")[:44])
    empty[40:44] = struct.pack("<I", 0)
    (tmp_path / "silent.wav").write_bytes(bytes(empty))
    for name in ("missing.wav", "", "text.wav", "empty.wav", "silent.wav"):
        path = tmp_path / name
        with pytest.raises(AudioError) as caught:
            Audio.read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class Reader(io.StringIO):
    """Reads text, or fails."""

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__("not bytes")
        self.error = error

    def read(self, size: int | None = -1, /) -> str:
        if self.error is not None:
            raise self.error
        return super().read(size)


def test_files_that_give_no_bytes(tmp_path: Path) -> None:
    """A file open as text, one that was closed, and one that fails while it is read: one line each."""
    tone(0.1).write(tmp_path / "a.wav")
    closed = (tmp_path / "a.wav").open("rb")
    closed.close()
    with (tmp_path / "a.wav").open(encoding="utf-8") as text:
        for reader, words in [
            (Reader(), "gives str, not bytes; give a file that is open in binary mode"),
            (Reader(OSError(5, "Input/output error")), "Input/output error"),
            (closed, "closed file"),
            (text, "binary mode"),
        ]:
            with pytest.raises(AudioError, match=words):
                Audio.read(reader)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a\0b.wav", "\ud800.wav"])
def test_paths_that_cannot_be(name: str) -> None:
    """What no system has as a path is neither read nor written, in one line."""
    with pytest.raises(AudioError, match="cannot read"):
        Audio.read(name)
    with pytest.raises(AudioError, match="cannot write"):
        tone(0.1).write(name)


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    """251 bytes and the suffix, in letters of three bytes."""
    path = tmp_path / ("声" * 83 + "ab.wav")
    tone(0.1).write(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """What is no regular file is written to, not replaced."""
    pipe = tmp_path / "a.wav"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    tone(0.1).write(pipe)
    heard = os.read(reading, 1 << 16)
    os.close(reading)

    assert (heard, pipe.is_fifo()) == (tone(0.1).to_bytes("wav"), True)


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    """A float WAV that holds NaN is refused before any model sees it."""
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan]), 24_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        Audio.read(tmp_path / "nan.wav")


def test_a_playlist_cannot_open_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An FFmpeg playlist sent as audio does not read the file that it names."""
    tone(0.1).write(tmp_path / "private.wav")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioError, match="cannot read"):
        Audio.read(io.BytesIO(b"ffconcat version 1.0\nfile private.wav\n"))


@pytest.mark.parametrize("format", ["wav", "m4a"])
def test_too_long_stops_early(format: str) -> None:
    """`max_s` refuses longer audio while decoding, and accepts audio of exactly that length."""
    data = tone(2.0).to_bytes(format)
    with pytest.raises(AudioError, match="longer than 1 s"):
        Audio.read(io.BytesIO(data), max_s=1.0)
    assert Audio.read(io.BytesIO(data), max_s=2.1).seconds == pytest.approx(2.0, abs=0.1)
    assert Audio.read(io.BytesIO(tone(2.0).to_bytes("wav")), max_s=2.0).seconds == 2.0


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "5", 1j])
def test_a_limit_that_is_none(limit: Any) -> None:
    """A limit of no seconds, or of no number of them, is a UsageError."""
    with pytest.raises(UsageError, match="give a number of seconds"):
        Audio.read(tone(0.1).to_bytes("wav"), max_s=limit)


def test_a_false_length_does_not_take_memory() -> None:
    """A FLAC header that claims 190 hours over one second of audio is not believed."""
    data = bytearray(tone().to_bytes("flac"))
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xff"
    try:
        assert Audio.read(io.BytesIO(bytes(data))).seconds < 2
    except AudioError as error:
        assert "\n" not in str(error)


def test_writing_says_what_is_wrong(tmp_path: Path) -> None:
    """Unknown suffix, no suffix, missing folder and empty audio are refused in one line."""
    empty = Audio(np.zeros(0, np.float32), 24_000)
    for audio, name, words in [
        (tone(), "a.xyz", "'xyz'.*wav, .*flac"),
        (tone(), "a", "no suffix"),
        (tone(), "missing/a.wav", "No such file"),
        (empty, "a.wav", "0 samples"),
    ]:
        with pytest.raises(AudioError, match=words):
            audio.write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file cannot be put in place, the old one is whole and nothing is left beside it."""
    path = tmp_path / "a.wav"
    tone(0.1).write(path)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(AudioError, match="No space"):
        tone(0.5).write(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_format_overrides_the_suffix(tmp_path: Path) -> None:
    """`format` decides what is written; the suffix may be anything, in any case."""
    tone(0.1).write(tmp_path / "a.bin", format="FLAC")
    assert (tmp_path / "a.bin").read_bytes().startswith(b"fLaC")


def test_samples_must_be_mono_floats() -> None:
    """Integers, two dimensions, rates that are none and what is not finite are refused with what to give."""
    for samples, rate, words in [
        (np.zeros(3, np.int16), 24_000, "int16"),
        (np.zeros((2, 3), np.float32), 24_000, r"\[2, 3\]"),
        (np.zeros(3, np.float32), 0, "0 Hz"),
        (np.zeros(3, np.float32), 24_000.5, "24000.5 Hz"),
        (np.zeros(3, np.float32), float("nan"), "nan Hz"),
        (np.zeros(3, np.float32), float("inf"), "inf Hz"),
        (np.zeros(3, np.float32), 1 << 31, "2147483648 Hz"),
        (np.array([1e300]), 24_000, "infinite"),
        (np.array([np.inf], np.float32), 24_000, "infinite"),
    ]:
        with pytest.raises(AudioError, match=words):
            Audio(samples, rate)  # type: ignore[arg-type]


def test_rates_that_cannot_be(tmp_path: Path) -> None:
    """Asked for or to be written, a rate that cannot be is one line of error; numpy's integers are rates."""
    for rate in (0, -1, 8_000.5, 1 << 31):
        with pytest.raises(AudioError, match=f"a rate of {rate} Hz; give a whole number"):
            tone().resample(rate)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=r"cannot write FLAC at 700000 Hz .*; resample it"):
        Audio(tone(0.1).samples, 700_000).to_bytes("flac")
    assert Audio(tone(0.1).samples, 2**31 - 1).to_bytes("wav").startswith(b"RIFF")
    assert type(Audio(tone(0.1).samples, np.int64(24_000)).rate) is int  # type: ignore[arg-type]


def test_odd_containers_are_one_line_or_audio() -> None:
    """Metadata that is no text does not keep audio from being read; an unknown codec is an AudioError."""
    m4a = tone(0.3).to_bytes("m4a")
    odd_metadata = m4a.replace(b"M4A ", b"\x80\xff4A", 1)
    unknown_codec = m4a.replace(b"mp4a", b"zzzz").replace(b"esds", b"free")
    assert odd_metadata != m4a != unknown_codec
    assert Audio.read(io.BytesIO(odd_metadata)).seconds == pytest.approx(0.3, abs=0.1)
    with pytest.raises(AudioError, match="decoded"):
        Audio.read(io.BytesIO(unknown_codec))


def test_many_channels() -> None:
    """Fifty-three channels in a container that only FFmpeg reads are averaged like two."""
    import av

    avi = io.BytesIO()
    with av.open(avi, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=24_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 5_300), 8_000, np.int16), format="s16", layout="mono")
        frame.sample_rate = 24_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(avi.getvalue())
    at = data.index(b"strf") + 8
    data[at + 2 : at + 4] = struct.pack("<H", 53)  # channels
    data[at + 12 : at + 14] = struct.pack("<H", 106)  # bytes of one sample of all channels
    audio = Audio.read(io.BytesIO(bytes(data)))
    assert len(audio.samples) == 100
    np.testing.assert_allclose(audio.samples, 8_000 / 32_768, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["wav", "flac", "mp3", "ogg", "m4a"]), st.integers(0, 300))
def test_damaged_files_never_crash(junk: bytes, format: str, at: int) -> None:
    """Any bytes over any part of a file give finite audio or one line of error."""
    data = bytearray(tone(0.05).to_bytes(format))
    data[at : at + len(junk)] = junk
    try:
        assert np.isfinite(Audio.read(io.BytesIO(bytes(data)), max_s=60).samples).all()
    except AudioError as error:
        assert "\n" not in str(error)


def test_audio_is_a_value() -> None:
    """Equal samples and rate are equal audio, with one hash; anything else is not, and is no error."""
    audio = tone(0.1)

    assert audio == tone(0.1) and hash(audio) == hash(tone(0.1))
    assert audio != tone(0.1, hz=441) and audio != Audio(audio.samples, 16_000) and audio != tone(0.2)
    assert audio != 3 and audio != None and audio not in ["a", audio.samples.tolist()]  # noqa: E711
    assert len({audio, tone(0.1), tone(0.2)}) == 2


def test_audio_has_a_length_and_is_joined_by_plus() -> None:
    """The length is in samples, `+` and `sum` put one behind the other, and rates must agree."""
    one, two = tone(0.1), tone(0.2)

    assert len(one) == 2_400 and len(one + two) == 7_200 and not Audio(np.zeros(0, np.float32), 8_000)
    assert sum([one, two, one]) == Audio.join([one, two, one]) == one + two + one
    assert Audio.join(one) == one
    with pytest.raises(AudioError, match="resample"):
        one + tone(0.1, rate=16_000)


def test_audio_is_shown_in_one_line_and_played_in_a_notebook() -> None:
    """The repr has length and rate, a notebook a player; nothing to play is only shown, long audio is MP3."""
    assert repr(tone(1.5)) == "<Audio 1.50 s, 36000 samples at 24000 Hz>"
    player = tone(0.1)._repr_html_()
    assert player.startswith('<audio controls src="data:audio/wav;base64,')
    assert base64.b64decode(player.split(",")[1].split('"')[0]) == tone(0.1).to_bytes("wav")
    assert Audio(np.zeros(0, np.float32), 8_000)._repr_html_() == "&lt;Audio 0.00 s, 0 samples at 8000 Hz&gt;"
    assert "audio/mpeg" in Audio(np.zeros(61 * 8_000, np.float32), 8_000)._repr_html_()
