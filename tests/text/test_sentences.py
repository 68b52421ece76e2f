"""Where text may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.text.sentences import best_break, is_finished, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", " Two!", " Three?"]),
        ("第一句。第二句！", ["第一句。", "第二句！"]),
        ('"Stop!" he said.', ['"Stop!"', " he said."]),
        ("他说：“走。”然后走了。", ["他说：", "“走。”", "然后走了。"]),
        ("Wait... what?!", ["Wait.", " what?"]),
        ("See example.com, i.e. the site of J. Smith.", ["See example.com, i.e. the site of J. Smith."]),
        ("Dr. Smith met Prof. Jones vs. Mr. Lee.", ["Dr. Smith met Prof. Jones vs. Mr. Lee."]),
        ("No. 5 in Fig. 3, vol. 2.", ["No. 5 in Fig. 3, vol. 2."]),
        ("Did he? No. He left.", ["Did he?", " No.", " He left."]),
        ("Main St. in Boston.", ["Main St. in Boston."]),
        ("On Main St. The end.", ["On Main St.", " The end."]),
        ("Tea, milk etc. and more.", ["Tea, milk etc. and more."]),
        ("Tea, milk etc. More.", ["Tea, milk etc.", " More."]),
        ("So do I. It is 5G. Yes.", ["So do I.", " It is 5G.", " Yes."]),
        ("hello there. how are you?", ["hello there.", " how are you?"]),
        ("At 5:30: tea.", ["At 5:30:", " tea."]),
        ("no mark", ["no mark"]),
        ("", []),
        ("...", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    """Marks end sentences, closing quotes stay with them, stops inside words and initials do not count."""
    assert list(sentences(text)) == expected


@settings(deadline=None)
@given(st.text(alphabet="ab 。，.!”中文", max_size=60))
def test_nothing_but_marks_is_lost(text: str) -> None:
    """Joined sentences hold every character of the text in order, but for repeated marks and their quotes."""
    spoken = [character for character in text if character in "ab 中文，"]
    assert [character for character in "".join(sentences(text)) if character in "ab 中文，"] == spoken


@settings(deadline=None)
@given(st.text(alphabet="ab1 。，,.!中文", min_size=2, max_size=60), st.data())
def test_a_cut_is_always_inside(text: str, data: st.DataObject) -> None:
    """The best place to cut leaves something on both sides and respects the maximum."""
    most = data.draw(st.integers(1, len(text) - 1))
    assert 0 < best_break(text, most) <= most


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("aaa bbb. ccc, ddd eee", "aaa bbb."),
        ("aaa bbb, ccc ddd eee", "aaa bbb,"),
        ("aaa bbb ccc ddd eee", "aaa bbb ccc ddd"),
        ("price 1,234,567 is high", "price 1,234,567"),
        ("一二三四五。六七，八九十一二三四五六七八", "一二三四五。"),
    ],
)
def test_better_breaks_win(text: str, before: str) -> None:
    """A sentence end beats a comma, a comma beats a space, and a number is not cut at its commas."""
    assert text[: best_break(text, 17)] == before


def test_finished() -> None:
    """A mark finishes a text, also inside closing quotes; a comma does not."""
    assert all(map(is_finished, ["a.", "啊。", 'a!"', "（啊。）", "(a.)"])) is False
    assert all(map(is_finished, ["a.", "啊。", 'a!"', "(a.)"]))
    assert not any(map(is_finished, ["a", "a,", "", 'a"']))
