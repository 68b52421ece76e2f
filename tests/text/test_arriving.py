"""Words of text that arrives in parts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.text.arriving import LONGEST_WORD, UtteranceEnd, whole_words
from cosyrt.text.normalize import is_speakable


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["Hel", "lo the", "re, you"], ["Hello", " there,", " you"]),
        (["收到好友", "寄来的，", "ok吗"], ["收到好友", "寄来的，", "ok吗"]),
        (["it is 3", ".14", " km"], ["it", " is", " 3.14", " km"]),
        (["a <str", "ong>b</strong> c"], ["a", " <strong>b</strong>", " c"]),
        (["one\n", "\n two 😀"], ["one", " two"]),
        (["two words. And ", "more"], ["two", " words.", " And", " more"]),
        (["他说：“收到，谢谢。”ok吗"], ["他说：", "“收到，", "谢谢。”", "ok吗"]),
        (["，。", "词" * 250], ["，。", "词" * 100, "词" * 100, "词" * 50]),
        (["", " ", "\u200b"], []),
        ([], []),
    ],
)
def test_words_are_given_when_they_have_ended(parts: list[str], expected: list[str]) -> None:
    """Latin words and numbers wait for a blank, hanzi do not; tags stay whole, emoji are dropped."""
    assert list(whole_words(parts)) == expected


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab 1.，中文 \n", max_size=6), max_size=8))
def test_no_word_is_lost_or_cut(parts: list[str]) -> None:
    """Joined, the words are the text; a Latin word is never in two of them."""
    given_out = list(whole_words(parts))

    assert "".join(given_out).split() == "".join(parts).split()
    for one, other in pairwise(given_out):
        assert not (one[-1].isascii() and one[-1].isalnum() and other[0].isascii() and other[0].isalnum())


def test_a_word_without_end_is_given_out() -> None:
    """What never ends is no word: it does not wait for ever."""
    words = whole_words(iter(["x" * 60] * 10))

    assert len(next(words)) == LONGEST_WORD


def spoken(words: Iterable[str], least: int, most: int) -> list[str]:
    """Utterances of these words, marks between them left out."""
    found, end = list[str](), None
    for word in words:
        if end is None:
            if not is_speakable(word):
                continue
            end = UtteranceEnd(word, least=least, most=most)
            found.append(word.lstrip())
        else:
            end.add(word)
            found[-1] += word
        end = None if end.reached else end
    return found


@pytest.mark.parametrize("sentence", ["Hello there my friend. ", "你好，我的朋友。"])
def test_a_text_that_arrives_whole_becomes_utterances(sentence: str) -> None:
    """Utterances end as in a text that arrives in parts, and joined they are the text."""
    text = sentence * 200
    made = spoken(whole_words([text]), least=40, most=80)

    assert "".join(made).replace(" ", "") == text.replace(" ", "")
    assert {len(utterance) // 40 for utterance in made[:-1]} == {1}
    assert all(utterance.endswith((".", "。")) for utterance in made)


def test_utterances_end_with_sentences() -> None:
    """After `least` characters the next sentence end, at `most` anywhere."""
    assert spoken(["One.", " Two.", " Three", " four.", " Five"], 8, 99) == [
        "One. Two.",
        "Three four.",
        "Five",
    ]
    assert spoken(["One", " two", " three", " four"], 3, 7) == ["One two", "three four"]
