"""The table of audio formats."""

from __future__ import annotations

import pytest

from cosyrt.errors import AudioError
from cosyrt.formats import FORMATS, format_named


def test_a_format_is_found_in_any_case() -> None:
    """Names and suffixes are looked up whatever their case; another name of a format is the same format."""
    assert format_named("FLAC") is FORMATS["flac"]
    assert FORMATS["ogg"] is FORMATS["opus"] and FORMATS["wave"] is FORMATS["wav"]


def test_an_unknown_format_names_those_there_are() -> None:
    """The error lists what could be asked for."""
    with pytest.raises(AudioError, match=r"'xyz'; use one of wav, .*mp3"):
        format_named("xyz")


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("wav", 22_050, 22_050),
        ("opus", 22_050, 24_000),
        ("mp3", 24_000, 24_000),
        ("mp3", 96_000, 48_000),
        ("ulaw", 24_000, 8_000),
    ],
)
def test_a_codec_gets_a_rate_that_it_has(name: str, asked: int, given: int) -> None:
    """Rates that a codec lacks go to the next one above, or to its highest."""
    assert FORMATS[name].rate_for(asked) == given


def test_a_rate_that_no_file_can_have() -> None:
    """FLAC has a highest rate; the error says what to do."""
    with pytest.raises(AudioError, match=r"cannot write FLAC at 700000 Hz .*; resample it"):
        FORMATS["flac"].rate_for(700_000)
