"""Recordings that are uploaded: their size and what they begin with, before anything is decoded."""

from __future__ import annotations

from starlette.datastructures import UploadFile

from cosyrt.service.errors import BadRequest

MAX_BYTES = 10 << 20
# What a file of each kind begins with, and where. Decoders know hundreds of others, with as many mistakes.
_MAGIC = {
    "audio/wav": ((0, b"RIFF"), (8, b"WAVE")),
    "audio/flac": ((0, b"fLaC"),),
    "audio/ogg": ((0, b"OggS"),),
    "audio/webm": ((0, b"\x1a\x45\xdf\xa3"),),
    "audio/mp4": ((4, b"ftyp"),),
}


def media_type_of(recording: bytes) -> str | None:
    """The kind of a recording by its first bytes; None: none of those that are read here."""
    for name, marks in _MAGIC.items():
        if all(recording[at : at + len(mark)] == mark for at, mark in marks):
            return name
    first, second = recording[_after_id3(recording) :][:2].ljust(2, b"\0")
    if first != 0xFF or second & 0xE0 != 0xE0:  # no frame of MPEG begins here
        return None
    return "audio/mpeg" if second & 0x06 else "audio/aac"  # the layer, of which AAC has none


def _after_id3(recording: bytes) -> int:
    """Where the sound begins behind a tag with titles and pictures; its length has seven bits a byte."""
    if not recording.startswith(b"ID3") or len(recording) < 10:
        return 0
    length = 0
    for byte in recording[6:10]:
        length = length << 7 | byte & 0x7F
    return 10 + length


async def read_upload(file: UploadFile, param: str) -> bytes:
    """The bytes of an uploaded recording.

    Raises:
        BadRequest: it is empty, too large, or of no kind that is read here.
    """
    recording = await file.read(MAX_BYTES + 1)
    if len(recording) > MAX_BYTES:
        raise _refused(f"the recording has more than {MAX_BYTES >> 20} MiB; send less than that", param)
    if media_type_of(recording) is None:
        raise _refused("the recording is no WAV, FLAC, Ogg, MP3, AAC, WebM or MP4; convert it to one", param)
    return recording


def _refused(message: str, param: str) -> BadRequest:
    return BadRequest(message, param=param, code="invalid_audio")
