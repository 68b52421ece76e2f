"""Uploads: known kinds of recordings are told by how they begin, all others are refused undecoded."""

from __future__ import annotations

import asyncio
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

from cosyrt.service.errors import BadRequest
from cosyrt.service.uploads import MAX_BYTES, media_type_of, read_upload
from tests.service.forms import recording

KINDS = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
}


@pytest.mark.parametrize("format", KINDS)
def test_a_recording_is_known_by_its_first_bytes(format: str) -> None:
    """Files as encoders write them are what they are."""
    assert media_type_of(recording(format)) == KINDS[format]


@given(st.binary(max_size=20))
def test_any_bytes_have_a_kind_or_none(data: bytes) -> None:
    """Nothing fails, however short; text is no recording."""
    assert media_type_of(data) in {*KINDS.values(), "audio/webm", None}
    assert media_type_of(b"#EXTM3U\n" + data) is None


def read(data: bytes) -> bytes:
    return asyncio.run(read_upload(UploadFile(io.BytesIO(data)), "recording"))


def test_what_is_too_large_or_unknown_is_refused() -> None:
    """The limit is counted, not believed; a playlist, an archive and an empty file are no recordings."""
    whole = recording()
    assert read(whole) == whole
    assert len(read(whole.ljust(MAX_BYTES, b"\0"))) == MAX_BYTES
    with pytest.raises(BadRequest, match="more than 10 MiB"):
        read(whole.ljust(MAX_BYTES + 1, b"\0"))
    for data in (b"", b"#EXTM3U\nhttp://127.0.0.1/", b"PK\x03\x04", b"caff\0\1\0\0"):
        with pytest.raises(BadRequest, match="no WAV, FLAC"):
            read(data)
