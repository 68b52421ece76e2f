"""Where audio goes: a file, standard output or, by `cosyrt.playback.Player`, a loudspeaker."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cosyrt.errors import AudioError, UsageError
from cosyrt.files import check_target

if TYPE_CHECKING:
    from cosyrt.audio import Audio

STDOUT = 1
DEFAULT_FILE = "speech.wav"
UNKNOWN_LENGTH = 0xFFFF_FFFF
HEADER_BYTES = 44


class Sink(Protocol):
    """Where audio goes, chunk by chunk."""

    def write(self, audio: Audio) -> None:
        """Take one chunk; all have the same sample rate."""

    def close(self) -> None:
        """Finish: no chunk follows."""

    def stop(self) -> None:
        """Leave off at once; nothing half-made remains."""


class CollectingSink:
    """Keeps every chunk until the end, so that a file appears whole or not at all."""

    def __init__(self, finish: Callable[[Audio], None]) -> None:
        self._finish = finish
        self._parts: list[Audio] = []

    def write(self, audio: Audio) -> None:
        """Keep the chunk."""
        self._parts.append(audio)

    def close(self) -> None:
        """Hand on all chunks, joined."""
        from cosyrt.audio import Audio

        self._finish(Audio.join(self._parts))

    def stop(self) -> None:
        """Forget the chunks."""
        self._parts.clear()


class WavPipe:
    """Writes WAV into a stream while it is made; its header says no length, as FFmpeg's does in pipes.

    Where the stream is a file, the length is written into the header at the end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._started = False
        self._start = _start_in_file(stream)  # None: a pipe, or a file that is only added to
        self._data_bytes = 0

    def write(self, audio: Audio) -> None:
        """Write the samples in 16 bits and flush, so that the reader has them at once."""
        if not self._started:
            _write_all(self._stream, _open_wav_header(audio.rate))
            self._started = True
        samples = audio.to_bytes("pcm")
        _write_all(self._stream, samples)
        self._data_bytes += len(samples)

    def close(self) -> None:
        """Write the length into the header of a file; no sample is held back."""
        if self._start is None or not self._started or self._data_bytes > UNKNOWN_LENGTH - HEADER_BYTES:
            return
        for at, length in ((4, HEADER_BYTES - 8 + self._data_bytes), (40, self._data_bytes)):
            self._stream.seek(self._start + at)
            _write_all(self._stream, struct.pack("<I", length))
        self._stream.seek(0, os.SEEK_END)

    def stop(self) -> None:
        """Leave the samples, which the reader has already, with their length."""
        with contextlib.suppress(OSError, AudioError):
            self.close()


def into_file(path: Path) -> Sink:
    """Open a sink for a file of the format that its name says.

    Raises:
        AudioError: no such format, or the file cannot be written: at once, before the work is done.
    """
    from cosyrt.formats import FORMATS

    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise AudioError(f"{path} names no audio format; end it in .{', .'.join(FORMATS)}")
    try:
        check_target(path)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}; give another file") from error
    return CollectingSink(lambda audio: audio.write(path))


def into_stream(stream: BinaryIO, *, piecewise: bool) -> Sink:
    """Open a sink that writes WAV into a stream: chunk by chunk, or whole with its true length."""
    if piecewise:
        return WavPipe(stream)
    return CollectingSink(lambda audio: _write_all(stream, audio.to_bytes("wav")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the speech goes, and the words for it."""

    sink: Sink
    described: str
    file: str | None = None
    player: str | None = None
    is_stdout: bool = False


def open_target(output: str | None, *, piecewise: bool) -> Target:
    """Open the file or stream that was asked for, else a loudspeaker, else `speech.wav`.

    Raises:
        UsageError: standard output is a terminal, or closed.
        AudioError: the file cannot be written.
    """
    from cosyrt import playback

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


def standard_output() -> BinaryIO:
    """Standard output as bytes, for a WAV file.

    Raises:
        UsageError: it is closed, or a terminal.
    """
    if sys.stdout is None:
        raise UsageError("-o - writes to standard output, which is closed; give a file's name")
    if sys.stdout.isatty():
        raise UsageError("-o - writes a WAV file to a terminal; add > speech.wav, or | a player")
    return sys.stdout.buffer


def drop_output() -> None:
    """Forget what standard output did not take, so that flushing it does not fail once more at exit."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)


def _write_all(stream: BinaryIO, data: bytes) -> None:
    try:
        stream.write(data)
        stream.flush()
    except BrokenPipeError:  # the reader has heard enough
        raise
    except OSError as error:
        reason = error.strerror or error
        raise AudioError(f"cannot write to standard output: {reason}; write elsewhere") from error


def _start_in_file(stream: BinaryIO) -> int | None:
    """Where in a file the stream stands, if what is written can be changed later."""
    try:
        import fcntl

        if fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_APPEND:
            return None
    except (ImportError, OSError, AttributeError):  # another system; a stream that is no file of the system
        pass
    return stream.tell() if stream.seekable() else None


def _open_wav_header(rate: int) -> bytes:
    """Write a header of 44 bytes: 16-bit mono PCM that goes on until the stream ends."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", UNKNOWN_LENGTH, b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
