"""English words → phones, letter names or letters."""

from __future__ import annotations

import re

import pytest

from cosyrt.text.english import LETTERS, PHONES, English

_ENGLISH = English()


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("don't", "D OW1 N T"),
        ("DON'T", "D OW1 N T"),
        ("'twas", "T W AH1 Z"),
        ("zebra's", "Z IY1 B R AH0 Z"),
        ("wished", "W IH1 SH T"),
        ("yarn's", "Y AA1 R N Z"),
        ("podcasts", "P AO1 D K AE2 S T S"),
        ("blogged", "B L AO1 G D"),
        ("abruptest", "AH0 B R AH1 P T AH0 S T"),
        ("XQZ", "EH1 K S | K Y UW1 | Z IY1"),
        ("rtx", "AA1 R | T IY1 | EH1 K S"),
        ("cosyrt", "L:c L:o L:s L:y L:r L:t"),
        ("COSYRT", "L:c L:o L:s L:y L:r L:t"),
    ],
)
def test_word(word: str, spoken: str) -> None:
    """Dictionary, endings, abbreviations and unknown words are each read in their way."""
    assert " | ".join(" ".join(part) for part in _ENGLISH.read(word)) == spoken


def test_dictionary_holds_only_the_phones_there_are() -> None:
    """Every entry is a word of a-z and apostrophes with known phones, and no phone is without a word."""
    used = {phone for phones in _ENGLISH.words.values() for phone in phones.split()}
    assert used == set(PHONES)
    assert all(re.fullmatch("[a-z']+", word) for word in _ENGLISH.words)
    assert len(_ENGLISH.words) > 120_000


def test_letters_are_named() -> None:
    """Each letter has a unit of its own."""
    assert len(LETTERS) == 26
