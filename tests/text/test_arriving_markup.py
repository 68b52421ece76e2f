"""Markup in text that is read word by word."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosyrt.text.arriving import whole_words
from cosyrt.text.arriving_markup import plain_words


def read(parts: list[str]) -> str:
    return "".join(plain_words(whole_words(parts, lines=True)))


CASES = [
    ("**Warning:** do *not* open", "Warning: do not open"),
    ("# Heading\n\nText __bold__ snake_case", "Heading Text bold snake_case"),
    ("- one\n* two\n  + three", "one two three"),
    ("> quoted\n> - item", "quoted item"),
    ("a [link](http://a.b/c) and [two words](x.html), ok", "a link and two words, ok"),
    ("![alt](a.png) [laughter] [1]", "alt [laughter] [1]"),
    ("~~old~~ `code` 5*3 = 15", "old code 5*3 = 15"),
    ("```python\nprint(x)\n```\nDone", "print(x) Done"),
    ("| a | b |\n|---|---|\n| 5 | 6 |", "a, b, 5, 6,"),
    ("---\nafter\n***", "after"),
    ("<p>It&#x27;s <b>me</b></p> &amp; you", "It's me & you"),
    ('see <a href="x" class="y">this</a> page', "see this page"),
    ("<strong>hi</strong> <|en|> [breath]", "<strong>hi</strong> <|en|> [breath]"),
    ("a < b and c > d", "a < b and c > d"),
    ("**重点**：看[这里](http://a.b)。", "重点：看这里。"),
    ("- [ ] task\n- [x] done", "task done"),
]


@pytest.mark.parametrize(("text", "spoken"), CASES)
def test_signs_are_silent(text: str, spoken: str) -> None:
    """Structure and signs are not spoken, words are; tags that a model knows stay."""
    assert read([text]).strip() == spoken


@example("**重点**：看[这里](http://a.b)。", [10])
@example("- one\n* two\n  + three", [13])
@given(st.sampled_from([text for text, _ in CASES]), st.lists(st.integers(0, 60), max_size=6))
def test_the_cutting_changes_nothing(text: str, cuts: list[int]) -> None:
    """A text is read alike whatever the parts in which it comes."""
    at = sorted(min(cut, len(text)) for cut in cuts)
    parts = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    assert read(parts) == read([text])


@given(st.lists(st.sampled_from("one two, three. \n 四五。".split(" ")), max_size=20))
def test_plain_text_stays(words: list[str]) -> None:
    """Where there is no markup every word is kept, in its order."""
    text = " ".join(words)
    assert read([text]).split() == text.split()
