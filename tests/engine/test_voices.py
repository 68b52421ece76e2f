"""The voices of a loaded model: by name, by language, as values, and from recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.errors import UsageError, VoiceError, VoiceNotFound
from tests.engine.pipelines import SHORT, other, prompted


def test_a_registered_voice_has_a_name(
    tiny: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice that was registered is found by its name, beside those of the model."""
    monkeypatch.setenv("COSYRT_VOICES", str(tmp_path))
    tts = other(tiny)
    with pytest.raises(VoiceNotFound, match="no voice is called 'ada'"):
        tts.voice("ada")
    tts.registered.add(prompted())

    assert tts.voice("ada").digest == prompted().digest
    assert tts.voice("ann").name == "ann"


def test_a_voice_that_has_changed_is_refused(tiny: Pipeline) -> None:
    """A digest that is not that of the voice says that it is another one now."""
    assert tiny.voice_of(Request(voice="ann", voice_digest=tiny.voice("ann").digest), "").name == "ann"
    with pytest.raises(VoiceError, match="'ann' is not the one that was asked for; it has changed"):
        tiny.voice_of(Request(voice="ann", voice_digest="0"), "")


def test_the_language_decides_where_no_voice_is_asked_for(tiny: Pipeline) -> None:
    """Mandarin is spoken by the first Mandarin voice."""
    assert [tiny.voice_of(Request(), text).name for text in (SHORT, "你好")] == ["ann", "mei"]


def test_what_is_no_voice(tiny: Pipeline) -> None:
    """A name that is no str and a value that is no voice are told in one line."""
    for call in (lambda: tiny.voice(3), lambda: tiny.fitting("ann")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"the (name of a )?voice is"):
            call()
    silence = Audio(np.zeros(24_000, np.float32), 24_000)
    with pytest.raises(UsageError, match="the name of a voice is 3"):
        tiny.voice_from(silence, "Words.", 3)  # type: ignore[arg-type]
