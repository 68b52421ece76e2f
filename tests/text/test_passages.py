"""Passages of a text that arrives in parts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.text.passages import LONGEST_PASSAGE, Passage, PassageCutter, whole_passages


def cut(*parts: str) -> list[Passage]:
    """The passages of a text in these parts."""
    cutter = PassageCutter()
    passages = [passage for part in parts for passage in cutter.feed(part)]
    return passages + list(cutter.feed("", last=True))


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("One. Two. Three.", ["One.", " Two.", " Three."]),
        ("周一：9:00-10:00：晨练。答案是：42。好", ["周一：9:00-10:00：晨练。", "答案是：42。", "好"]),
        ("比分：2：1。", ["比分：2：1。"]),
        ("他说：我来。", ["他说：", "我来。"]),
        ("去、来、3、5个", ["去、", "来、3、5个"]),
        ("Yes!No, it's 3.14. Ok", ["Yes!No, it's 3.14.", " Ok"]),
        ("It&#x27;s &amp; on; ok", ["It&#x27;s &amp; on;", " ok"]),
        ("Dr. Who met No. 5. The end.", ["Dr. Who met No. 5.", " The end."]),
        ("Jan. 5 and Oct. 7. May came.", ["Jan. 5 and Oct. 7.", " May came."]),
        ("16 oz. of milk", ["16 oz. of milk"]),
        ("He said no. 5 people left.", ["He said no.", " 5 people left."]),
        ("See [docs](http://x.com/?a=b.c d) ok? Yes", ["See [docs](http://x.com/?a=b.c d) ok?", " Yes"]),
        ("<a href='x. y'>z</a>. End", ["<a href='x. y'>z</a>.", " End"]),
    ],
)
def test_passages(text: str, passages: list[str]) -> None:
    """Sentences and clauses are passages; numbers, tags and abbreviations stay whole."""
    assert [passage.text for passage in cut(text)] == passages


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("第一章\n天黑了。", ["第一章\n", "天黑了。"]),
        ("1. 切菜\n2. 下锅", ["1. 切菜\n", "2. 下锅"]),
        ("Dear Bob\nHow are you", ["Dear Bob\n", "How are you"]),
        ("The quick brown fox jumped over the lazy dog\nFred and went", None),
        ("it was dark\nand cold", None),
        ("今天，\n天黑了", None),
        (
            "# Title of a page that is as long as a line of prose\nText",
            ["# Title of a page that is as long as a line of prose\n", "Text"],
        ),
        ("a\n\nb", ["a\n\n", "b"]),
        ("a\n- b\n- c", ["a\n", "- b\n", "- c"]),
        ("```py\nx = 1\ny = 2\n```\nafter that", ["```py\n", "x = 1\n", "y = 2\n", "```\n", "after that"]),
    ],
)
def test_line_ends(text: str, passages: list[str] | None) -> None:
    """A line end ends a passage in Chinese, lists, titles and code, but not in wrapped prose."""
    assert [passage.text for passage in cut(text)] == (passages or [text])


def test_clauses_and_lines_are_told_apart() -> None:
    """A colon ends no sentence; what begins a line and what is code is known."""
    assert cut("他说：我来。\n好") == [
        Passage("他说：", True, False, False),
        Passage("我来。", False, True, False),
        Passage("\n", False, True, False),
        Passage("好", True, True, False),
    ]
    assert [passage.in_code for passage in cut("```\nx\n```\ny")] == [False, True, True, False]


TEXT = st.text("ab 。.!?,3:：\n-*#<>`&;StNo中", max_size=60)


@settings(max_examples=300, deadline=None)
@given(TEXT, st.data())
def test_the_cutting_of_a_text_changes_nothing(text: str, data: st.DataObject) -> None:
    """A text that arrives in any parts has the passages that it has as a whole; joined they are the text."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert cut(*parts) == cut(text)
    assert "".join(passage.text for passage in cut(text)) == text
    assert cut(*whole_passages(parts)) == cut(text)


@given(st.lists(st.text("ab 。.!?,3", max_size=12), max_size=12))
@settings(max_examples=200)
def test_parts_come_out_as_they_went_in(parts: list[str]) -> None:
    """Nothing of a text that arrives in parts is lost or doubled, but for blanks at its very end."""
    assert "".join(whole_passages(parts)).rstrip() == "".join(parts).rstrip()


@pytest.mark.parametrize(
    "text",
    ["Dr. Wu", "Main St. in Boston.", "Fig. 3.", "No. 5 of e.g. ten.", "Ltd. and so on.", "It is 3.14."],
)
def test_an_abbreviation_waits_for_what_follows(text: str) -> None:
    """Text that arrives letter by letter is not cut after an abbreviation in it."""
    assert list(whole_passages(text)) == [text]


def test_text_that_never_ends_a_sentence_does_not_wait_for_ever() -> None:
    """Without a mark, text is given out at spaces, a bounded length at a time and before the input ends."""
    words = iter(["word "] * 1_000)
    first = next(whole_passages(words))
    assert LONGEST_PASSAGE // 2 < len(first) <= LONGEST_PASSAGE
    assert len(list(words)) > 500
