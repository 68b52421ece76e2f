"""The texts of the benchmark."""

from __future__ import annotations

from cosyrt.lab.texts import TEXT_LENGTHS, TEXTS
from cosyrt.text.normalize import language_of

BOUNDS = {"short": (1, 49), "medium": (50, 200), "long": (201, 400)}


def test_lengths_are_what_they_are_called() -> None:
    """Below 50, 50 to 200, above 200 characters; each in both languages."""
    assert {(text.language, text.length) for text in TEXTS} == {
        (a, b) for a in ("en", "zh") for b in TEXT_LENGTHS
    }
    for text in TEXTS:
        least, most = BOUNDS[text.length]
        assert least <= len(text.words) <= most, text
        assert language_of(text.words) == text.language
