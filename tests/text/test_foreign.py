"""Text of other languages."""

from __future__ import annotations

import pytest

from cosyrt.text.foreign import is_english_clause, is_foreign


@pytest.mark.parametrize(
    "text",
    [
        "Ich habe 3 Katzen und 2 Hunde.",
        "Das Haus ist nicht 20 Jahre alt.",
        "Il y a 5 chats dans la maison.",
        "Nous avons 3 enfants et un chien.",
        "Tengo 25 años y 3 gatos.",
        "Abbiamo 3 figli e una casa.",
        "У меня 3 кошки.",
        "Έχω 3 γάτες",
    ],
)
def test_other_languages_are_known(text: str) -> None:
    """By their frequent words, or by their letters."""
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "I love Los Angeles and La La Land 2.",
        "We met on Monday at the Café Müller.",
        "Beyoncé sold 5 million.",
        "Die Hard 2 was on TV.",
        "Call me on 5 May.",
        "NASA GPU 4GB",
        "Bon Jovi played 3 songs.",
        "",
    ],
)
def test_english_with_foreign_names_is_english(text: str) -> None:
    """Names and single words make no other language."""
    assert not is_foreign(text)


@pytest.mark.parametrize(
    ("clause", "is_english"),
    [
        ("I have 5 cats.", True),
        ("the year is 2024", True),
        ("iPad Pro 11", False),
        ("I have cats", False),
        ("我有 5 cats and dogs", False),
        ("a^2 + b^2 = c^2", False),
    ],
)
def test_clauses_in_another_language(clause: str, is_english: bool) -> None:
    """English words with a number of their own are read in English; names and formulas are not."""
    assert is_english_clause(clause) is is_english
