"""Where audio goes: a file, standard output or, by `cosyrt.playback.Player`, a loudspeaker."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cosyrt.errors import AudioError, UsageError
from cosyrt.files import check_target

if TYPE_CHECKING:
    from cosyrt.audio import Audio
    from cosyrt.encoders import Samples
    from cosyrt.labels import Label

STDOUT = 1
DEFAULT_FILE = "speech.wav"


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

    def __init__(self, stream: BinaryIO, label: Label | None) -> None:
        self._stream, self._label = stream, label
        self._rate = 0  # of the first chunk
        self._start = _start_in_file(stream)  # None: a pipe, or a file that is only added to
        self._data_bytes = 0

    def write(self, audio: Audio) -> None:
        """Write the samples in 16 bits and flush, so that the reader has them at once."""
        if not self._rate:
            self._rate = audio.rate
            self._begin()
        self._write_samples(audio.samples)

    def close(self) -> None:
        """Write the length into the header of a file; no sample is held back."""
        from cosyrt.encoders import wav_header

        if self._start is None or not self._rate:
            return
        self._stream.seek(self._start)
        _write_all(self._stream, wav_header(self._rate, self._data_bytes, self._label))
        self._stream.seek(0, os.SEEK_END)

    def _write_samples(self, samples: Samples) -> None:
        from cosyrt.encoders import pcm16

        data = pcm16(samples).tobytes()
        _write_all(self._stream, data)
        self._data_bytes += len(data)

    def _begin(self) -> None:
        from cosyrt.encoders import wav_header
        from cosyrt.notice import notice

        _write_all(self._stream, wav_header(self._rate, label=self._label))
        if self._label and self._label.notice:
            self._write_samples(notice(self._rate))

    def stop(self) -> None:
        """Leave the samples, which the reader has already, with their length."""
        with contextlib.suppress(OSError, AudioError):
            self.close()


def into_file(path: Path, label: Label | None = None) -> Sink:
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
    return CollectingSink(lambda audio: audio.write(path, label=label))


def into_stream(stream: BinaryIO, label: Label | None = None, *, piecewise: bool) -> Sink:
    """Open a sink that writes WAV into a stream: chunk by chunk, or whole with its true length."""
    if piecewise:
        return WavPipe(stream, label)
    return CollectingSink(lambda audio: _write_all(stream, audio.to_bytes("wav", label=label)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the speech goes, and the words for it."""

    sink: Sink
    described: str
    file: str | None = None
    player: str | None = None
    is_stdout: bool = False


def open_target(output: str | None, label: Label | None, *, piecewise: bool) -> Target:
    """Open the file or stream that was asked for, else a loudspeaker, else `speech.wav`.

    Raises:
        UsageError: standard output is a terminal, or closed.
        AudioError: the file cannot be written.
    """
    from cosyrt import playback

    if output == "-":
        sink = into_stream(standard_output(), label, piecewise=piecewise)
        return Target(sink=sink, described="standard output", is_stdout=True)
    if output is not None:
        return Target(sink=into_file(Path(output), label), described=output, file=output)
    if device := playback.find_device():
        name = device.name
        return Target(sink=playback.Player(device), described=f"played by {name}", player=name)
    described = f"{DEFAULT_FILE} (there is no sound device)"
    return Target(sink=into_file(Path(DEFAULT_FILE), label), described=described, file=DEFAULT_FILE)


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
