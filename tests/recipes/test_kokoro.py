"""The teacher Kokoro: itself only where its packages are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cosyrt.text.pronounce import ArpabetPinyin
from recipes.builtin_voice.align import unit_ends
from recipes.builtin_voice.kokoro import Kokoro, level, timed
from recipes.builtin_voice.teacher import SAMPLE_HZ, SILENCE, TeacherError

STYLES = os.environ.get("KOKORO_STYLES")  # the folder of its voices


def test_letters_tell_when_phones_end() -> None:
    """Silence before, at a mark and after; the blank between two words belongs to the first."""
    units = ["AY1", "|", "G", "OW1", ",", "z:n", "z:i3", "."]
    owners = [0, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7]
    ends_s = np.arange(1, 14) / 10
    phones, ends, syllables = timed(units, owners, ends_s)
    assert phones == [SILENCE, "ay", "g", "ow", SILENCE, "n", "i3", SILENCE]
    assert ends == pytest.approx([0.1, 0.3, 0.4, 0.6, 0.8, 0.9, 1.1, 1.3])
    assert syllables == [-1, -1, -1, -1, -1, 0, 0, -1]


@pytest.mark.parametrize("peak", [0.02, 0.7])
def test_every_voice_has_the_same_level(peak: float) -> None:
    """Silence has no say."""
    tone = peak * np.sin(2 * np.pi * 200 * np.arange(24_000) / 24_000)
    sound = np.pad(tone, (0, 48_000)) * level(np.pad(tone, (0, 48_000)))
    assert 10 * np.log10((sound[:24_000] ** 2).mean()) == pytest.approx(-23, abs=0.2)


@pytest.mark.slow
@pytest.mark.skipif(not STYLES, reason="KOKORO_STYLES does not say where its voices are")
@pytest.mark.parametrize(
    ("voice", "text"), [("af_heart", "My brother works here."), ("zm_yunxi", "我们去银行。")]
)
def test_kokoro_says_what_the_units_say(voice: str, text: str) -> None:
    """Every unit has its time, and the sound is as long as the units."""
    assert STYLES
    try:
        teacher = Kokoro(voice, Path(STYLES))
    except TeacherError as error:
        pytest.skip(str(error))
    units = ArpabetPinyin()(text)
    speech = teacher.say(text, units)
    ends, cost = unit_ends(units, speech)
    assert cost == 0
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(speech.samples) / SAMPLE_HZ, abs=1e-3)
