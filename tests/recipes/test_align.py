"""Unit times from a teacher's phones."""

from __future__ import annotations

import numpy as np

from recipes.builtin_voice.align import unit_ends
from recipes.builtin_voice.teacher import Speech


def _speech(phones: str, syllables: list[int] | None = None) -> Speech:
    """Phones of 0.1 s each."""
    names = phones.split()
    ends = [round(0.1 * (index + 1), 3) for index in range(len(names))]
    samples = np.zeros(2400 * len(names), np.float32)
    return Speech(samples, names, ends, syllables or [-1] * len(names))


def test_sounds_end_with_their_phones() -> None:
    """Sounds end with their phones, a boundary with the sound before it, a mark with its pause."""
    units = "HH AY1 | Y UW1 , G OW1 .".split()
    ends, cost = unit_ends(units, _speech("pau hh ay y uw pau g ow pau"))
    assert ends == [0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert cost == 0


def test_mark_without_a_pause_takes_no_time() -> None:
    """A comma that the teacher ran over ends with the sound before it."""
    ends, _ = unit_ends("HH AY1 , Y UW1 .".split(), _speech("pau hh ay y uw pau"))
    assert ends == [0.2, 0.3, 0.3, 0.4, 0.5, 0.6]


def test_skipped_and_added_phones_stay_local() -> None:
    """A sound that was not said takes no time, an extra phone goes to the sound before it."""
    units = "K AE1 T S | R AH1 N .".split()
    ends, cost = unit_ends(units, _speech("pau k ae s r ah n d pau"))
    assert ends == [0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.6, 0.8, 0.9]
    assert 0 < cost < 0.5


def test_letters_follow_the_sounds_they_spell() -> None:
    """Letters of an unknown word find their sounds; a silent one takes no time."""
    ends, _ = unit_ends("L:k L:n L:o L:b .".split(), _speech("pau n aa b pau"))
    assert ends == [0.0, 0.2, 0.3, 0.4, 0.5]


def test_other_words_cost_more_than_a_rough_reading() -> None:
    """The cost tells a different word from a different vowel."""
    units = "B EH1 T ER0 .".split()
    _, vowel = unit_ends(units, _speech("pau b ae t er pau"))
    _, other = unit_ends(units, _speech("pau s iy ng k ow l pau"))
    assert vowel < 0.25 < other


def test_mandarin_goes_by_syllable() -> None:
    """The first phone of a syllable is its initial, the others are its final."""
    units = "z:zh z:ong1 z:er2 , z:g z:uang3 .".split()
    speech = _speech("pau ts. ong @r pau k w a N pau", [-1, 0, 0, 1, -1, 2, 2, 2, 2, -1])
    ends, cost = unit_ends(units, speech)
    assert ends == [0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 1.0]
    assert cost == 0


def test_missing_syllable_does_not_fit() -> None:
    """A syllable that the teacher left out is noticed."""
    _, cost = unit_ends("z:m z:a1 z:m z:a5 .".split(), _speech("pau m A pau", [-1, 0, 0, -1]))
    assert cost == float("inf")
