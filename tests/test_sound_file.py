"""Recordings that are cut, still being made, or huge."""

from __future__ import annotations

import io
import logging
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.errors import AudioError

RATE = 16_000


def tone(seconds: float) -> Audio:
    return Audio(0.5 * np.sin(np.arange(int(RATE * seconds)) / 10).astype(np.float32), RATE)


MP3 = tone(2.0).to_bytes("mp3")


def wav(seconds: float, data_bytes: int, riff_bytes: int) -> bytes:
    """A WAV whose header says other lengths than it has."""
    whole = bytearray(tone(seconds).to_bytes("wav"))
    assert whole[36:40] == b"data"
    whole[4:8], whole[40:44] = struct.pack("<I", riff_bytes), struct.pack("<I", data_bytes)
    return bytes(whole)


@pytest.mark.parametrize("riff_bytes", [0, 36, 2**32 - 1])
def test_a_file_that_is_being_recorded(riff_bytes: int, caplog: pytest.LogCaptureFixture) -> None:
    """A WAV that says it has no data gives what is there, with a warning."""
    audio = Audio.read(wav(2.0, 0, riff_bytes))

    assert audio.seconds == pytest.approx(2.0, abs=0.01)
    np.testing.assert_allclose(audio.samples[:RATE], tone(2).samples[:RATE], atol=1e-3)
    assert ["still being recorded" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("data_bytes", [2**32 - 1, 2**31 - 1, 64_000, 63_999])
def test_lengths_of_a_stream(data_bytes: int) -> None:
    """A WAV that says more data than it has, or all, gives what is there."""
    assert Audio.read(wav(2.0, data_bytes, 0)).seconds == pytest.approx(2.0, abs=0.01)


def test_an_empty_file_stays_empty(caplog: pytest.LogCaptureFixture) -> None:
    """A WAV without samples is refused, with a chunk behind them too."""
    empty = io.BytesIO()
    soundfile.write(empty, np.zeros(0, np.int16), RATE, format="WAV")
    for data in (
        empty.getvalue(),
        empty.getvalue() + b"LIST" + struct.pack("<I", 20) + b"INFOISFT" + bytes(12),
    ):
        with pytest.raises(AudioError, match="holds no audio"):
            Audio.read(data)
    assert not caplog.records


@pytest.mark.parametrize("length", [0x7FFF_F000, 0xFFFF_FFFF, 2 * 6 * RATE + 8])
def test_a_length_that_was_never_filled_in_is_no_damage(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Programs that write into a pipe leave one that no recording has; some count their header as sound."""
    data = bytearray(tone(6).to_bytes("wav"))
    data[40:44] = struct.pack("<I", length)
    assert Audio.read(bytes(data)).seconds == pytest.approx(6, abs=0.01)
    assert not caplog.records


@pytest.mark.parametrize("format", ["flac", "ogg", "mp3", "wav", "m4a", "aac"])
@pytest.mark.parametrize("kept", [0.34, 0.67, 0.97])
def test_a_cut_file(format: str, kept: float, caplog: pytest.LogCaptureFixture) -> None:
    """What is there of a cut file is read, but for MP4, whose table is at its end."""
    whole = tone(6).to_bytes(format)
    cut = whole[: int(kept * len(whole))]
    if format == "m4a":
        with pytest.raises(AudioError):
            Audio.read(cut)
        return
    with caplog.at_level(logging.WARNING):
        audio = Audio.read(cut)
    assert 0.7 * kept * 6 < audio.seconds < 6
    if format != "mp3":  # which says nowhere how long it is
        assert any("damaged or cut" in record.getMessage() for record in caplog.records)


def test_a_flac_with_a_hole(caplog: pytest.LogCaptureFixture) -> None:
    """What lies before the damage is what was recorded."""
    whole = bytearray(tone(6).to_bytes("flac"))
    middle = len(whole) // 2
    whole[middle : middle + 2_000] = bytes(2_000)

    audio = Audio.read(bytes(whole))

    assert audio.seconds > 2
    np.testing.assert_allclose(audio.samples[: 2 * RATE], tone(2).samples, atol=1e-3)


def sparse(path: Path, header: bytes, size: int) -> Path:
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


HEADERS = {
    "wav": wav(0.01, 2**32 - 1, 2**32 - 1)[:44],
    "empty wav": wav(0.01, 0, 0)[:44],
    "high rate": wav(0.01, 2**32 - 1, 0)[:24] + struct.pack("<I", 2**31 - 1) + wav(0.01, 2**32 - 1, 0)[28:44],
    "many channels": wav(0.01, 2**32 - 1, 0)[:22]
    + struct.pack("<HIIHH", 1000, RATE, 2000 * RATE, 2000, 16)
    + wav(0.01, 2**32 - 1, 0)[36:44],
    "nothing": b"",
    "flac": tone(1).to_bytes("flac"),
    "mp3": tone(1).to_bytes("mp3"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_huge_file_costs_little(kind: str, tmp_path: Path) -> None:
    """No more of four gigabytes is held than thirty seconds need."""
    path = sparse(tmp_path / "x.wav", HEADERS[kind], 4_000_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(AudioError) if kind not in ("flac", "mp3") else _anything():
            Audio.read(path, max_s=30)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


def _anything() -> pytest.RaisesExc[AudioError] | _Any:
    return _Any()


class _Any:
    """Takes an AudioError, or none."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is None or issubclass(kind, AudioError)


def test_a_pipe_is_a_recording(tmp_path: Path) -> None:
    """A recording from another program is read through a pipe."""
    import threading

    os.mkfifo(tmp_path / "p")
    writer = threading.Thread(target=(tmp_path / "p").write_bytes, args=[tone(2).to_bytes("wav")])
    writer.start()
    assert Audio.read(tmp_path / "p", max_s=30).seconds == 2
    writer.join()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 15_000), st.integers(0, 255)), min_size=1, max_size=60),
    cut=st.integers(0, 900),
)
def test_a_damaged_mp3_is_read_without_noise(
    changes: list[tuple[int, int]], cut: int, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whatever is damaged, the terminal gets nothing from a decoder, and what is whole is used."""
    data = bytearray(MP3)
    for place, value in changes:
        data[place % len(data)] = value
    del data[1_000 : 1_000 + cut]
    (tmp_path / "a.mp3").write_bytes(data)
    try:
        found = Audio.read(tmp_path / "a.mp3", max_s=10)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < found.seconds < 3
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("loudest", [1e7, 1e30, -3e38, 1e20])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_sound_are_refused(loudest: float, subtype: str, tmp_path: Path) -> None:
    """One absurd sample of a float file is told, instead of warnings of what it overflows."""
    samples = np.zeros(24_000)
    samples[7] = loudest
    soundfile.write(tmp_path / "a.wav", samples, 24_000, subtype=subtype)
    with pytest.raises(AudioError, match=r"a\.wav holds a sample of .*, full scale is 1; export it again"):
        Audio.read(tmp_path / "a.wav")
