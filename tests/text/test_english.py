"""English words → phones, letter names or letters."""

from __future__ import annotations

import re

import pytest

from cosyrt.text.english import LETTERS, PHONES, English, spelled_words
from cosyrt.text.pronounce import ArpabetPinyin

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


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("The US team won.", ["US"]),
        ("In the US, IT jobs pay.", ["US", "IT"]),
        ("Made in the US and OK.", ["US"]),
        ("At nine AM I left.", ["AM"]),
        ("The WHO says: AI, IT, OK.", ["WHO", "AI", "IT"]),
        ("AI", ["AI"]),
        ("'US' news", ["'US'"]),
        ("IT行业，AI APP很好，CT检查", ["IT", "AI", "CT"]),
        ("I AM HERE. TELL US.", []),
        ("WHO IS IT? IS IT US?", []),
        ("Who told us it is AIM?", []),
        ("Grade A. Vitamin A is good, A-list, plan A", ["A", "A", "A", "A"]),
        ("A股和A四纸", ["A", "A"]),
        ('A cat. THIS IS A TEST. Once Upon A Time, "A new hope"', []),
        ("", []),
    ],
)
def test_neighbours_tell(text: str, spelled: list[str]) -> None:
    """An abbreviation alone in capitals is spelled, always in Chinese text; among capitals it is none."""
    found = [text[start : start + 9] for start in sorted(spelled_words(text))]
    assert len(found) == len(spelled)
    assert all(rest.startswith(word) for rest, word in zip(found, spelled, strict=True))


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("The US.", "DH AH0 | Y UW1 | EH1 S ."),
        ("Tell us.", "T EH1 L | AH1 S ."),
        ("TELL US.", "T EH1 L | AH1 S ."),
        ("Grade A.", "G R EY1 D | EY1 ."),
        ("A grade.", "AH0 | G R EY1 D ."),
        ("A股", "EY1 | z:g z:u3 ."),
    ],
)
def test_spelled_words_give_letter_names(text: str, units: str) -> None:
    """The names of the letters are English words, one each."""
    assert " ".join(ArpabetPinyin()(text)) == units
