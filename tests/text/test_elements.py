"""Isotopes and Greek letters have names in both languages."""

from __future__ import annotations

import re

import pytest

from cosyrt.text.elements import GREEK_LETTER, ISOTOPE, greek, isotope


@pytest.mark.parametrize(
    ("written", "english", "chinese"),
    [
        ("¹⁴C", "carbon 14", "碳14"),
        ("²³⁵U and ⁶⁰Co", "uranium 235 and cobalt 60", "铀235 and 钴60"),
        ("⁹⁹Xy", "Xy 99", "Xy 99"),
        ("x¹⁴C", "x¹⁴C", "x¹⁴C"),
        ("²Carbon", "²Carbon", "²Carbon"),
    ],
)
def test_isotopes(written: str, english: str, chinese: str) -> None:
    """The element comes first; a power behind a letter and a word behind a number are none."""
    found = [re.sub(ISOTOPE, lambda f, han=han: isotope(f, chinese=han), written) for han in (False, True)]
    assert found == [english, chinese]


@pytest.mark.parametrize(
    ("written", "english", "chinese"),
    [("λ", "lambda", "兰姆达"), ("2Ω", "2omega", "2欧米伽"), ("λόγος", "λόγος", "λόγος")],
)
def test_greek_letters(written: str, english: str, chinese: str) -> None:
    """A letter alone is named, those of a Greek word are not."""
    found = [
        re.sub(GREEK_LETTER, lambda f, han=han: greek(f[0], chinese=han), written) for han in (False, True)
    ]
    assert found == [english, chinese]
