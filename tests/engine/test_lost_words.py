"""Pieces of which not every word was spoken."""

from __future__ import annotations

import pytest

from cosyrt.engine.lost_words import loses_words, smaller_pieces
from cosyrt.text.normalize import is_speakable


@pytest.mark.parametrize(
    ("piece", "sounds", "tokens", "lost"),
    [
        ("One. Two. Three.", 16, 17, True),
        ("One. Two. Three.", 16, 40, False),
        ("你好。再见。", 14, 28, True),
        ("你好。再见。", 14, 45, False),
        ("No.", 3, 2, False),
    ],
)
def test_too_few_speech_tokens_are_lost_words(piece: str, sounds: int, tokens: int, lost: bool) -> None:
    """The least number of speech tokens depends on the language; a piece of few sounds tells nothing."""
    assert loses_words(piece, sounds, tokens) is lost


def test_a_piece_is_said_again_by_sentences() -> None:
    """Several sentences become one piece each, a single one two halves, with every word."""
    assert list(smaller_pieces("One. Two. Three.", is_speakable)) == ["One.", " Two.", " Three."]
    halves = list(smaller_pieces("He came, and then he went home again.", is_speakable))
    assert len(halves) == 2 and "".join(halves) == "He came, and then he went home again."
