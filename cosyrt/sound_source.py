"""Where the bytes of a recording come from: a file, a pipe or an open file, read within a limit.

A path may be a device that never ends, a pipe that nobody writes to, or a file of terabytes. Files are read
where a decoder asks, pipes up to the limit, devices not at all.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cosyrt.errors import AudioError, one_line

PIPE_WAIT_S = 10.0  # for the next bytes of a pipe
BLOCK_BYTES = 1 << 20

Openable = str | Path | BinaryIO | bytes | bytearray | memoryview  # a file, or what is in it


class SoundSource(io.RawIOBase):
    """A seekable file of which at most so many bytes are read; `is_over` says that there would be more.

    A seek before the start goes to the start: a damaged file makes libsndfile do that, and Python would write
    a traceback.
    """

    def __init__(self, file: BinaryIO, name: str, most: int) -> None:
        super().__init__()
        self._file, self.name, self.most = file, name, most
        self._left = most
        self._size = file.seek(0, io.SEEK_END)
        self._at = 0
        self.is_over = False

    def from_start(self) -> SoundSource:
        """Begin again, for another decoder, with the whole limit."""
        self._at, self._left, self.is_over = 0, self.most, False
        return self

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be moved in."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, at least to the start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most so many bytes; nothing once the limit is reached."""
        asked = max(0, self._size - self._at) if size is None or size < 0 else size
        if asked and not self._left:
            self.is_over = True
        self._file.seek(self._at)
        data = self._file.read(min(asked, self._left))
        self._at += len(data)
        self._left -= len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Do nothing: a decoder closes what it is given, and the next one needs it."""


@contextmanager
def open_sound(source: Openable, most: int) -> Iterator[SoundSource]:
    """Open a recording of which at most so many bytes are read.

    Raises:
        AudioError: no such file, or an empty one; a device; a pipe that nobody writes to; not open for bytes;
            too long.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield SoundSource(io.BytesIO(source), "the audio", most)
        return
    if not isinstance(source, (str, Path)):
        name = str(getattr(source, "name", "the audio"))
        yield SoundSource(io.BytesIO(_read_open(source, name, most)), name, most)
        return
    try:
        status = os.stat(source)
        kind = status.st_mode
        if stat.S_ISFIFO(kind):
            data = _read_pipe(str(source), most)
            yield SoundSource(io.BytesIO(data), str(source), most)
            return
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise AudioError(f"{source} is a device, not a recording; give an audio file")
        if stat.S_ISREG(kind) and not status.st_size:  # so are files of the kernel, of which some never end
            raise AudioError(f"{source} is empty; give a recording that plays in a media player")
        file = open(source, "rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:  # ValueError: a path that is none
        raise AudioError(f"cannot read {source}: {reason(error)}; check the path") from error
    with file:
        yield SoundSource(file, str(source), most)


def _read_open(source: BinaryIO, name: str, most: int) -> bytes:
    """Read an open file from where it stands to its end."""
    advice = "give a file that is open in binary mode"
    data = bytearray()
    try:
        while True:
            block: object = source.read(BLOCK_BYTES)
            if not isinstance(block, (bytes, bytearray)):
                raise AudioError(f"cannot read {name}: it gives {type(block).__name__}, not bytes; {advice}")
            if not block:
                return bytes(data)
            data += block
            _check_length(name, len(data), most)
    except (OSError, ValueError, TypeError) as error:  # no open file
        raise AudioError(f"cannot read {name}: {reason(error)}; {advice}") from error


def _read_pipe(name: str, most: int) -> bytes:
    """Read a pipe to its end, without waiting for a writer that does not come."""
    number, data = os.open(name, os.O_RDONLY | os.O_NONBLOCK), bytearray()
    try:
        waited_until = time.monotonic() + PIPE_WAIT_S
        while True:
            ready = select.select([number], [], [], 0.05)[0]
            block = _read_now(number) if ready else None
            if block == b"" and data:
                return bytes(data)
            if block:
                data += block
                _check_length(name, len(data), most)
                waited_until = time.monotonic() + PIPE_WAIT_S
            elif time.monotonic() > waited_until:
                raise AudioError(f"{name} is a pipe that gave nothing for {PIPE_WAIT_S:g} s; give a file")
            elif block == b"":  # nobody has opened it for writing yet
                time.sleep(0.05)
    finally:
        os.close(number)


def _read_now(number: int) -> bytes | None:
    try:
        return os.read(number, BLOCK_BYTES)
    except BlockingIOError:
        return None


def _check_length(name: str, count: int, most: int) -> None:
    if count > most:
        raise AudioError(f"{name} is longer than any recording that is read ({most} bytes); cut it")


def reason(error: Exception) -> str:
    """The system's words for an error, else its message in one line."""
    return str(getattr(error, "strerror", None) or one_line(error))
