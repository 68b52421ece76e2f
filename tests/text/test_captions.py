"""Captions: files in and out, and the times of sentences."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import TextError
from cosyrt.text.captions import Caption, captions_of, read_captions, srt, vtt
from cosyrt.text.normalize import sentence_pairs


class Heard(NamedTuple):
    text: str
    begin_s: float
    end_s: float


SRT = """\ufeff1
00:00:01,000 --> 00:00:02,500
<i>Hello</i>
{\\an8}there.

2
00:01:03,5 --> 01:00:04,000 X1:40 Y1:3

3
00:00:00,100 --> 00:00:00,900
First &amp; foremost
"""
VTT = """WEBVTT - title

NOTE a note

STYLE
::cue { color: red }

id
01:02.500 --> 01:03.000 align:start
<v Ann>Hi"""


def test_files_of_others() -> None:
    """Numbers, styles, notes and positions are left out; captions come in the order of their times."""
    assert read_captions(SRT.replace("\n", "\r\n")) == [
        Caption(0.1, 0.9, "First & foremost"),
        Caption(1.0, 2.5, "Hello there."),
    ]
    assert read_captions(VTT) == [Caption(62.5, 63.0, "Hi")]


@pytest.mark.parametrize(
    ("text", "message"),
    [("hello", "there are no captions"), ("1\n00:02,0 --> 00:01,0\nx", "ends before it begins: 00:02,0")],
)
def test_what_is_no_file_of_captions(text: str, message: str) -> None:
    """The error says what a caption needs, in one line."""
    with pytest.raises(TextError, match=message) as caught:
        read_captions(text)
    assert "\n" not in str(caught.value)


TIMES = st.integers(0, 360_000_000).map(lambda milliseconds: milliseconds / 1000)
WORDS = st.lists(st.sampled_from("one two, three & four <five> 六七八。".split()), min_size=1, max_size=30)


@given(st.lists(st.tuples(TIMES, TIMES, WORDS), min_size=1, max_size=5))
def test_what_is_written_is_read_again(given: list[tuple[float, float, list[str]]]) -> None:
    """Times to a thousandth of a second, and all words; SRT cannot tell a word from a style."""
    captions = sorted(Caption(min(a, b), max(a, b), " ".join(words)) for a, b, words in given)
    assert read_captions(vtt(captions)) == captions
    plain = sorted(caption._replace(text=caption.text.replace("<five>", "five")) for caption in captions)
    assert read_captions(srt(plain)) == plain


def test_a_sentence_has_the_time_of_its_letters() -> None:
    """Sentences that were heard in one piece share its time by their letters; pieces keep theirs."""
    text = "I have $5. Ok.\n\n你好。"
    heard = [Heard("I have five dollars. Ok.", 1, 20), Heard("你好。", 21, 22)]
    assert captions_of(sentence_pairs(text), heard) == [
        Caption(1, pytest.approx(1 + 16 * 19 / 18), "I have $5."),
        Caption(pytest.approx(1 + 16 * 19 / 18), 20, "Ok."),
        Caption(21, 22, "你好。"),
    ]


def test_a_sentence_that_was_not_heard_has_no_caption() -> None:
    """What the voice could not read is passed over; those behind it keep their times."""
    assert captions_of(
        [("a", "a"), ("привет", "привет"), ("b", "b")], [Heard("a", 0, 1), Heard("b", 1, 2)]
    ) == [
        Caption(0, 1, "a"),
        Caption(1, 2, "b"),
    ]


@given(st.lists(st.sampled_from("alpha beta, gamma delta; epsilon".split()), min_size=1, max_size=80))
def test_a_long_sentence_fits_on_the_screen(words: list[str]) -> None:
    """No caption is longer than two rows; together they have every word and all the time."""
    text = " ".join(words)
    found = captions_of([(text, text)], [Heard(text, 3, 50)])
    assert " ".join(caption.text for caption in found).split() == words
    assert max(len(caption.text) for caption in found) <= 84
    assert (found[0].begin_s, found[-1].end_s) == (3, pytest.approx(50))
    for before, behind in pairwise(found):
        assert before.begin_s < before.end_s == pytest.approx(behind.begin_s)
