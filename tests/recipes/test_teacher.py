"""The teachers themselves, where they are installed."""

from __future__ import annotations

import ctypes.util

import numpy as np
import pytest

from cosyrt.text.mandarin import hanzi_units
from cosyrt.text.pronounce import ArpabetPinyin
from recipes.builtin_voice.align import unit_ends
from recipes.builtin_voice.teacher import LEAD_S, SAMPLE_HZ, TAIL_S, Espeak, Flite, pinyin

_find = ctypes.util.find_library
needs_flite = pytest.mark.skipif(not _find("flite_cmu_us_rms"), reason="flite is not installed")
needs_espeak = pytest.mark.skipif(not _find("espeak-ng"), reason="espeak-ng is not installed")


def _check(teacher: Flite | Espeak, text: str) -> None:
    units = ArpabetPinyin()(text)
    speech = teacher.say(text, units)
    ends, cost = unit_ends(units, speech)
    assert cost < 0.1
    assert ends == sorted(ends)
    assert ends[-1] == speech.phone_end_s[-1] == pytest.approx(len(speech.samples) / SAMPLE_HZ, abs=1e-3)
    lead, tail = round(LEAD_S * SAMPLE_HZ), round(TAIL_S * SAMPLE_HZ)
    sound = np.abs(speech.samples[lead:-tail]).max()
    assert sound > 0.1
    silence = np.concatenate([speech.samples[: lead // 2], speech.samples[-tail // 2 :]])
    assert np.abs(silence).max() < 0.02 * sound


@needs_flite
def test_flite_says_what_the_units_say() -> None:
    """An English sentence aligns sound for sound, between silences of the fixed length."""
    _check(Flite(), "The quick brown fox, they say, jumps over the lazy dog.")


@needs_espeak
def test_espeak_says_what_the_units_say() -> None:
    """A Mandarin sentence aligns syllable for syllable, between silences of the fixed length."""
    _check(Espeak(), "你好，我们一起去公园看月亮吧？")


def test_pinyin_is_spelled_as_usual() -> None:
    """Full finals are written in the usual short form, ü as v where it is not understood."""
    units = [*hanzi_units("女儿有圆月"), ",", *hanzi_units("去水滚牛翁"), "?"]
    assert pinyin(units) == "nv3 er2 you3 yuan2 yue4, qu4 shui3 gun3 niu2 weng1?"
