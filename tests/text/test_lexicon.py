"""A user's lexicon: what it takes, refuses, and which words of a text it finds."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import UsageError
from cosyrt.text.lexicon import Lexicon
from cosyrt.text.sounds import Sounds


def told(lexicon: dict[str, str], text: str) -> str:
    """The text with what is said for each word in angle brackets."""
    return Lexicon.of(lexicon).replace(
        text, lambda word, said: f"<{said if isinstance(said, str) else ' '.join(said.parts)}>"
    )


@pytest.mark.parametrize(
    ("lexicon", "text", "found"),
    [
        ({"GIF": "jiff"}, "A GIF, GIFs and gif.", "A <jiff>, GIFs and gif."),
        ({"kubectl": "cube control"}, "Kubectl KUBECTL", "<cube control> <cube control>"),
        ({"Polish": "pole ish"}, "Polish it, polish.", "<pole ish> it, polish."),
        ({"new york": "N Y", "new": "old"}, "New York is new", "<N Y> is <old>"),
        ({"重庆": "chong2 qing4"}, "在重庆市", "在<chong2 qing4>市"),
        ({"C++": "see plus plus"}, "in C++, not C", "in <see plus plus>, not C"),
        ({"5G": "five gee"}, "5G but 15G", "<five gee> but 15G"),
        ({"über": "ueber"}, "Über alles", "<ueber> alles"),
        ({"ß": "sharp s"}, "S, SS and ß", "S, SS and <sharp s>"),
        ({"SQL": "/ˈsiːkwəl/"}, "SQL's", "<S IY1 K W AH0 L>'s"),
        ({}, "as it is", "as it is"),
    ],
)
def test_words_that_are_found(lexicon: dict[str, str], text: str, found: str) -> None:
    """Whole words, the longest first; in any case where the lexicon has small letters."""
    assert told(lexicon, text) == found


@given(st.text(max_size=50), st.dictionaries(st.text(min_size=1, max_size=3), st.just("x"), max_size=5))
def test_what_is_not_found_stays(text: str, words: dict[str, str]) -> None:
    """A text in which each word stands for itself comes back unchanged."""
    words = {word: said for word, said in words.items() if word.strip()}
    assert Lexicon.of(words).replace(text, lambda word, said: word) == text


def test_a_file(tmp_path: Path) -> None:
    """TOML with tables or without; equal lexicons are equal, and can be pickled."""
    path = tmp_path / "words.toml"
    path.write_text('GIF = "JH IH1 F"\n[chinese]\n"重庆" = "chóngqìng"\n', encoding="utf-8")
    lexicon = Lexicon.read(path)
    assert lexicon == Lexicon.of({"GIF": "JH IH1 F", "重庆": "chóngqìng"})
    assert pickle.loads(pickle.dumps(lexicon)) == lexicon and hash(lexicon)
    seen: list[object] = []
    lexicon.replace("GIF 重庆", lambda word, said: seen.append(said) or word)
    assert seen == [Sounds("arpabet", ("JH", "IH1", "F")), Sounds("pinyin", ("chong2", "qing4"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GIF = 5", "the lexicon says 5 for 'GIF'; give text"),
        ("GIF = ''", "give each 1 to 200 characters"),
        ("GIF = 'JH IH1 QQ'", "'JH IH1 QQ' for 'GIF', which is no pronunciation; give pinyin"),
        ("GIF = '/ʁ/'", "which is no pronunciation"),
        ("GIF: jiff", "is no TOML"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file and the word, and says what to give."""
    path = tmp_path / "words.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        Lexicon.read(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_lexicon(tmp_path: Path) -> None:
    """A file that is not there, and a value of another kind."""
    with pytest.raises(UsageError, match="cannot read the lexicon"):
        Lexicon.read(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="give a dict"):
        Lexicon.of("GIF")  # type: ignore[arg-type]
