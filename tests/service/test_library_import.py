"""The command line's voices come into the store once, and stay out of it once they were deleted."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.library_import import import_library
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from cosyrt.voice.library import VoiceLibrary
from tests.voice.test_voice import assert_same, voice


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    """A library with two voices."""
    made = VoiceLibrary(tmp_path / "voices")
    for name in ("kim", "林"):
        made.add(voice(name=name))
    return made


def test_voices_are_taken_over_once(store: Store, library: VoiceLibrary) -> None:
    """All accounts may use them; a second start copies nothing, a changed or new voice is copied."""
    voices = StoredVoices(store, "cosyvoice2")
    assert import_library(store, voices, library) == ["kim", "林"]
    assert import_library(store, voices, library) == []
    found = asyncio.run(voices.find(LOCAL_CALLER, "kim"))
    assert found is not None
    assert_same(found, voice(name="kim"))
    assert all(facts.shared for facts in asyncio.run(voices.listed(LOCAL_CALLER)))

    library.add(voice(name="new"))
    assert import_library(store, voices, library) == ["new"]


def test_a_voice_that_was_deleted_does_not_come_back(store: Store, library: VoiceLibrary) -> None:
    """What was deleted stays so at the next start, and the command line still has its file."""
    voices = StoredVoices(store, "cosyvoice2")
    import_library(store, voices, library)
    for facts in asyncio.run(voices.listed(LOCAL_CALLER)):
        voices.remove(LOCAL_CALLER, facts.id)
    assert import_library(store, voices, library) == []
    assert library.names() == ["kim", "林"] and library.find("kim") is not None


def test_a_damaged_file_is_left_out(
    store: Store, library: VoiceLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad file is named in the log and keeps none of the others out."""
    library.path("kim").write_bytes(b"no voice")
    with caplog.at_level(logging.WARNING):
        assert import_library(store, StoredVoices(store, "cosyvoice2"), library) == ["林"]
    assert "'kim' was not taken over" in caplog.text
