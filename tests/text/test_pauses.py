"""Pauses that are written in a text, and those between its parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import TextError, UsageError
from cosyrt.text.pauses import (
    LONGEST_PAUSE_S,
    Pauses,
    hide_pauses,
    is_mark,
    pause_mark,
    seconds_of,
    split_at_marks,
    whole_pauses,
    written_pause,
)


@given(st.integers(0, int(LONGEST_PAUSE_S * 100)))
def test_a_mark_says_how_long_the_pause_is(hundredths: int) -> None:
    """A pause that is written is found again, to a hundredth of a second."""
    mark = hide_pauses(written_pause(hundredths / 100))
    assert is_mark(mark) and seconds_of(mark) == pytest.approx(hundredths / 100)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("[pause:500ms]", 0.5),
        ("[pause:500]", 0.5),
        ("[pause: 1.5 s]", 1.5),
        ("[PAUSE=2S]", 2.0),
        ("[pause 3 seconds]", 3.0),
        ("[ Pause : 1 sec ]", 1.0),
        ("[pause=2 s]", 2.0),
        ("[pause]", 0.5),
        ("[pause：800 milliseconds]", 0.8),
        ("[停顿:1秒]", 1.0),
        ("[停顿 300 毫秒]", 0.3),
        ("[停顿]", 0.5),
        ("[pause:.5s]", 0.5),
    ],
)
def test_ways_to_write_a_pause(written: str, seconds: float) -> None:
    """Units, blanks and capitals are free; a number alone is in milliseconds."""
    assert split_at_marks(hide_pauses(f"a {written} b")) == ["a ", pause_mark(seconds), " b"]


@pytest.mark.parametrize("text", ["[pause:soon]", "[pauses]", "pause: 5", "[5]", "[paused:5]"])
def test_what_is_no_pause(text: str) -> None:
    """Text that only looks like a pause is left alone."""
    assert hide_pauses(text) == text


def test_private_characters_of_a_text_are_no_marks() -> None:
    """Characters of icon fonts are left out, so that they are never taken for pauses."""
    assert hide_pauses("a\ue832b\ue7ffc") == "abc"


def test_a_pause_that_is_too_long_is_refused() -> None:
    """The error names the length and the longest there is."""
    with pytest.raises(TextError, match="a pause of 21 s is too long; give at most 20 s"):
        hide_pauses("a [pause:21s] b")


@pytest.mark.parametrize("value", [-0.1, 20.1, float("nan"), float("inf"), "1", None])
def test_gaps_out_of_range_are_refused(value: object) -> None:
    """A gap is a number of seconds, within the range of a pause."""
    with pytest.raises(UsageError, match=r"paragraph_s is .*; give a pause of 0 to 20 seconds"):
        Pauses(paragraph_s=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pause", ["[pause: 1 s]", "[ pause 500 ms ]", "[pause=2 seconds]", "[停顿: 1 秒]", "[pause]"]
)
def test_a_pause_with_blanks_is_one_word(pause: str) -> None:
    """The words of a pause come together, however many there are; other brackets wait for nothing more."""
    words = [*"Wait here".split(" "), *pause.split(" "), "then [see", "note]", "["]

    assert list(whole_pauses(words)) == [
        *"Wait here".split(" "),
        pause.replace(" ", ""),
        "then [see",
        "note]",
        "[",
    ]
