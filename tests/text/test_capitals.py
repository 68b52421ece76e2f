"""Words in capitals that are said letter by letter."""

from __future__ import annotations

import pytest

from cosyrt.text.capitals import spelled_words
from cosyrt.text.pronounce import ArpabetPinyin


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
