"""Where audio goes: a file, standard output, or (cosyrt.playback.Player) a loudspeaker."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from cosyrt import playback
from cosyrt.audio import FORMATS, Audio
from cosyrt.cli.streams import standard_output
from cosyrt.errors import AudioError
from cosyrt.files import check_target

DEFAULT_FILE = "speech.wav"
UNKNOWN_LENGTH = 0xFFFF_FFFF


class Sink(Protocol):
    """Takes audio piece by piece."""

    def write(self, audio: Audio) -> None:
        """Take one piece, all of the same rate."""

    def close(self) -> None:
        """There is no more: finish."""

    def stop(self) -> None:
        """Leave off at once; nothing half-made remains."""


class Collected:
    """Keeps everything until the end, so that what appears is whole or does not appear."""

    def __init__(self, finish: Callable[[Audio], None]) -> None:
        self._finish = finish
        self._parts: list[Audio] = []

    def write(self, audio: Audio) -> None:
        """Keep it."""
        self._parts.append(audio)

    def close(self) -> None:
        """Hand on all of it, joined."""
        self._finish(Audio.join(self._parts))

    def stop(self) -> None:
        """Forget what was made."""
        self._parts.clear()


class WavPipe:
    """WAV into a stream as it is made, under a header of unknown length (as FFmpeg writes into pipes)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._started = False

    def write(self, audio: Audio) -> None:
        """Write the samples, 16-bit, and let the reader have them at once."""
        if not self._started:
            _write_all(self._stream, _open_wav_header(audio.rate))
            self._started = True
        _write_all(self._stream, audio.to_bytes("pcm"))

    def close(self) -> None:
        """Nothing is held back."""

    def stop(self) -> None:
        """What the reader has cannot be taken back."""


def into_file(path: Path) -> Sink:
    """A file of the format that its name says.

    Raises:
        AudioError: no such format, or the file cannot be written: at once, before the work is done.
    """
    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise AudioError(f"{path} names no audio format; end it in .{', .'.join(FORMATS)}")
    try:
        check_target(path)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}; give another file") from error
    return Collected(lambda audio: audio.write(path))


def into_stream(stream: BinaryIO, *, piecewise: bool) -> Sink:
    """WAV into an open stream: piece by piece, or whole with its true length."""
    if piecewise:
        return WavPipe(stream)
    return Collected(lambda audio: _write_all(stream, audio.to_bytes("wav")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the speech goes, and how that is told."""

    sink: Sink
    described: str
    file: str | None = None
    player: str | None = None
    is_stdout: bool = False


def open_target(output: str | None, *, piecewise: bool) -> Target:
    """The file or stream that was asked for, else a loudspeaker, else `speech.wav`.

    Raises:
        UsageError: standard output is a terminal, or closed.
        AudioError: the file cannot be written.
    """
    if output == "-":
        sink = into_stream(standard_output(), piecewise=piecewise)
        return Target(sink=sink, described="standard output", is_stdout=True)
    if output is not None:
        return Target(sink=into_file(Path(output)), described=output, file=output)
    if device := playback.find_device():
        name = device.name
        return Target(sink=playback.Player(device), described=f"played by {name}", player=name)
    described = f"{DEFAULT_FILE} (there is no sound device)"
    return Target(sink=into_file(Path(DEFAULT_FILE)), described=described, file=DEFAULT_FILE)


def deliver(chunks: Generator[Audio], sink: Sink) -> None:
    """Give every chunk to the sink as it comes; on any error, Ctrl-C too, stop both sides."""
    try:
        for chunk in chunks:
            sink.write(chunk)
        sink.close()
    except BaseException:
        sink.stop()
        raise
    finally:
        chunks.close()


def _write_all(stream: BinaryIO, data: bytes) -> None:
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:  # the reader has heard enough
        raise
    except OSError as error:
        reason = error.strerror or error
        raise AudioError(f"cannot write to standard output: {reason}; write elsewhere") from error


def _open_wav_header(rate: int) -> bytes:
    """44 bytes: 16-bit mono PCM that goes on until the stream ends."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", UNKNOWN_LENGTH, b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
