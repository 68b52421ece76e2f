"""Pieces of which not every word was spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.lost_words import loses_words, smaller_pieces, unspoken
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


@pytest.mark.parametrize(
    ("piece", "tokens", "left"),
    [
        ("One two. Three four. Five.", 26, " Three four. Five."),
        ("He came, and then he went home again.", 25, " and then he went home again."),
        ("He came and then he went home again.", 20, " and then he went home again."),
        ("He came and then he went home again.", 3, "He came and then he went home again."),
        ("今天下雨，我们回家。", 24, "我们回家。"),
        ("今天下雨我们回家。", 20, "今天下雨我们回家。"),
    ],
)
def test_a_piece_is_taken_up_where_it_broke_off(piece: str, tokens: int, left: str) -> None:
    """What follows the last clause, else word, that can have been spoken whole; never too little."""
    assert unspoken(piece, tokens, len) == left


@given(st.text(alphabet="ab ,.好。，", max_size=40), st.integers(0, 200))
def test_what_is_left_is_the_end_of_the_piece(piece: str, tokens: int) -> None:
    """Nothing of the piece is changed, and all that was surely not spoken is in it."""
    left = unspoken(piece, tokens, len)
    assert piece.endswith(left) and len(piece) - len(left) <= max(0, tokens / 2.6)
