"""Phoneme letters for Kokoro."""

from __future__ import annotations

import pytest

from benchmarks.chain import SENTENCES
from cosyrt.text.mandarin import FINALS, INITIALS
from cosyrt.text.pronounce import BOUNDARY, MARKS, ArpabetPinyin
from recipes.builtin_voice import ipa
from recipes.builtin_voice.ipa import letters


def written(text: str) -> str:
    """All letters of a text."""
    return "".join(part for part, _ in letters(ArpabetPinyin()(text))).rstrip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The city water.", "ðə sˈɪɾi wˈɔɾəɹ."),
        ("A little photograph, and I understand!", "ɐ lˈɪɾəl fˈOɾəɡɹˌæf, ənd ˈI ˌʌndəɹstˈænd!"),
        ("今天早上", "ʨi→ntʰjɛ→nʦau↓ʂa↘ŋ."),
        ("十四支鸟儿。", "ʂɨ↗sɨ↘ꭧɨ→njau↓ɚ."),
        ("我说 hello。", "wo↓ʂwo→ həlˈO."),
    ],
)
def test_units_are_written_as_kokoro_reads_them(text: str, expected: str) -> None:
    """Diphthongs are capitals, a weak t is a flap, function words have no stress, tones are arrows."""
    assert written(text) == expected


def test_every_sound_of_mandarin_has_letters() -> None:
    """Each initial and each final with each of its tones."""
    assert {unit.removeprefix("z:") for unit in INITIALS} == set(ipa.INITIALS)
    assert {unit.removeprefix("z:")[:-1] for unit in FINALS} == set(ipa.FINALS)
    assert all(final.count("0") == 1 for final in (*ipa.FINALS.values(), ipa.SYLLABIC))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_letter_belongs_to_its_unit(language: str) -> None:
    """Units keep their order, and every sound has letters of its own."""
    for text in SENTENCES[language].read_text("utf-8").splitlines()[:20]:
        units = ArpabetPinyin()(text)
        owners = [number for _, number in letters(units)]
        assert owners == sorted(owners)
        silent = {number for number, unit in enumerate(units) if unit == BOUNDARY or unit in MARKS}
        assert set(owners) | silent == set(range(len(units)))


def test_what_is_spelled_cannot_be_said() -> None:
    """A letter of a word that nobody knows has no sound."""
    with pytest.raises(KeyError, match="spelled"):
        letters(["L:x", "L:q"])
