"""Where audio goes: a file, standard output or, by `cosyrt.playback.Player`, a loudspeaker."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cosyrt.arguments import expanded
from cosyrt.errors import AudioError, UsageError
from cosyrt.files import check_target

if TYPE_CHECKING:
    from cosyrt.audio import Audio
    from cosyrt.encoders import Encoder
    from cosyrt.labels import Label

STDOUT = 1
DEFAULT_FILE = "speech.wav"
STREAMED = "wav"  # the format of standard output, if none is asked for


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


class EncodedPipe:
    """Encodes audio into a stream while it is made; a WAV header says no length, as FFmpeg's does in pipes.

    Where the stream is a file, the length is written into the header at the end.
    """

    def __init__(self, stream: BinaryIO, written: Written) -> None:
        self._stream, self._written = stream, written
        self._encoder: Encoder | None = None  # made with the first chunk, which has the rate
        self._start = _start_in_file(stream)  # None: a pipe, or a file that is only added to
        self._bytes = 0

    def write(self, audio: Audio) -> None:
        """Write what the chunk adds to the file and flush, so that the reader has it at once."""
        from cosyrt.encoders import Encoder

        if self._encoder is None:
            written = self._written
            self._encoder = Encoder(
                written.format or STREAMED, audio.rate, out_rate=written.rate, label=written.label
            )
        self._write(self._encoder.push(audio.samples))

    def close(self) -> None:
        """Write what was held back, and the length into the header of a file."""
        if self._encoder is None:
            return
        self._write(self._encoder.close())
        if self._start is not None and self._encoder.format.name == "wav":
            self._write_length(self._encoder.rate, self._start)

    def _write_length(self, rate: int, start: int) -> None:
        from cosyrt.encoders import wav_header

        data_bytes = self._bytes - len(wav_header(rate, label=self._written.label))
        if data_bytes < 0:  # not even the header could be written
            return
        self._stream.seek(start)
        _write_all(self._stream, wav_header(rate, data_bytes, self._written.label))
        self._stream.seek(0, os.SEEK_END)

    def _write(self, data: bytes) -> None:
        if data:
            _write_all(self._stream, data)
            self._bytes += len(data)

    def stop(self) -> None:
        """Leave the samples, which the reader has already, with their length."""
        with contextlib.suppress(OSError, AudioError):
            self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How audio is written: the format (None: what the name says), the rate (None: its own), the label."""

    format: str | None = None
    rate: int | None = None
    label: Label | None = None

    def fitted(self, audio: Audio) -> Audio:
        """The audio at the rate that was asked for."""
        return audio if self.rate is None else audio.resample(self.rate)


PLAIN = Written()


def into_file(path: Path, written: Written = PLAIN) -> Sink:
    """Open a sink for a file of the format that was asked for, else that its name says.

    Raises:
        AudioError: no such format, or the file cannot be written: at once, before the work is done.
    """
    from cosyrt.formats import FORMATS

    path = expanded(path)
    if not written.format and path.suffix.removeprefix(".").lower() not in FORMATS:
        raise AudioError(f"{path} names no audio format; end it in .{', .'.join(FORMATS)}, or give --format")
    try:
        check_target(path)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}; give another file") from error
    return CollectingSink(
        lambda audio: written.fitted(audio).write(path, written.format, label=written.label)
    )


def into_stream(stream: BinaryIO, written: Written = PLAIN, *, piecewise: bool) -> Sink:
    """Open a sink that encodes into a stream, WAV if nothing else was asked for.

    It writes chunk by chunk, or the whole file, whose header then has its true length.
    """
    if piecewise:
        return EncodedPipe(stream, written)
    format, label = written.format or STREAMED, written.label
    return CollectingSink(
        lambda audio: _write_all(stream, written.fitted(audio).to_bytes(format, label=label))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the speech goes, and the words for it."""

    sink: Sink
    described: str
    file: str | None = None
    player: str | None = None
    is_stdout: bool = False


def open_target(output: str | None, written: Written = PLAIN, *, piecewise: bool) -> Target:
    """Open the file or stream that was asked for, else a loudspeaker, else `speech.wav`.

    Raises:
        UsageError: an empty name; standard output is a terminal, or closed; a format or rate without a file.
        AudioError: the file cannot be written.
    """
    from cosyrt import playback

    if output is None and (written.format or written.rate):
        raise UsageError("--format and --rate say how a file is written; give one with -o, or -o -")
    if output == "":
        raise UsageError("-o is empty; give a file, or leave it out")
    if output == "-":
        sink = into_stream(standard_output(), written, piecewise=piecewise)
        return Target(sink=sink, described="standard output", is_stdout=True)
    if output is not None:
        return Target(sink=into_file(Path(output), written), described=output, file=output)
    if device := playback.find_device():
        name = device.name
        return Target(sink=playback.Player(device), described=f"played by {name}", player=name)
    described = f"{DEFAULT_FILE} (there is no sound device)"
    return Target(sink=into_file(Path(DEFAULT_FILE), written), described=described, file=DEFAULT_FILE)


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
    """Standard output as bytes, for an audio file.

    Raises:
        UsageError: it is closed, or a terminal.
    """
    if sys.stdout is None:
        raise UsageError("-o - writes to standard output, which is closed; give a file's name")
    if sys.stdout.isatty():
        raise UsageError("-o - writes an audio file to a terminal; add > speech.wav, or | a player")
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
