"""The records of a `.pt` file: an archive whose members lie in it as they are, found without reading them.

The directory of the archive is a stranger's: its size is judged before it is read, and a record is used only
if it is stored as it is and lies wholly in the file.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cosyrt.errors import WeightsError

MAX_DIRECTORY_BYTES = 8_000_000  # about 90 bytes a record; official checkpoints have a thousand records
LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a member: the signature, and the lengths of two fields after it
PROGRAM, BYTE_ORDER, STORED = "data.pkl", "byteorder", "data/"


@dataclass(frozen=True, slots=True)
class Span:
    """Where the bytes of a record lie in the file."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one file by their names, without the folder that all of them are in."""

    path: Path
    spans: dict[str, Span]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Find the records of a file.

        Raises:
            WeightsError: a record is compressed, there twice, outside the file, or they are too many.
            OSError, zipfile.BadZipFile: the file cannot be read or is no archive.
        """
        size, spans = path.stat().st_size, dict[str, Span]()
        with _BoundedReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.partition("/")[2]
                span = Span(_data_start(file, member), member.file_size)
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                    raise WeightsError(
                        f"{path} would unpack to more than itself; checkpoints are stored uncompressed"
                    )
                if name in spans or span.start + span.size > size:
                    raise WeightsError(f"{path} is damaged at its record {name[:80]!a}; download it again")
                spans[name] = span
        return cls(path, spans)

    def program(self, most: int) -> bytes:
        """The pickled program that says what the tensors are, of at most so many bytes.

        Raises:
            WeightsError: there is none, it is too long, or the numbers beside it are stored high byte first.
        """
        if self._read(BYTE_ORDER, 16) not in (b"", b"little"):
            raise WeightsError(f"{self.path} was saved on a big-endian machine; save it again on another")
        if PROGRAM not in self.spans:
            raise WeightsError(f"{self.path} is no file that torch has saved; download it again")
        if (size := self.spans[PROGRAM].size) > most:
            raise WeightsError(f"{self.path} has {size} bytes beside its tensors; is it a state_dict?")
        return self._read(PROGRAM, most)

    def stored(self, key: str) -> Span:
        """Where the numbers of a storage lie.

        Raises:
            WeightsError: the file does not hold them.
        """
        span = self.spans.get(STORED + key)
        if span is None:
            raise WeightsError(f"{self.path} lacks the numbers of the tensor {key[:80]!a}; download it again")
        return span

    def _read(self, name: str, most: int) -> bytes:
        span = self.spans.get(name)
        if span is None:
            return b""
        with self.path.open("rb") as file:
            file.seek(span.start)
            return file.read(min(span.size, most))


class _BoundedReads(io.BufferedReader):
    """A file that is never asked for more than a directory may have: `zipfile` reads it at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, but not more than a directory's bytes at once."""
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory has {size} bytes")
        return super().read(MAX_DIRECTORY_BYTES if size is None or size < 0 else size)


def _data_start(file: io.BufferedReader, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: behind its own header, whose length the directory does not tell."""
    file.seek(member.header_offset)
    signature, name_bytes, extra_bytes = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if signature != b"PK\3\4":
        raise zipfile.BadZipFile("a record does not begin where its directory says")
    return int(member.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes)
