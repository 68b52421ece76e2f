"""Text cut into pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.errors import TextError
from cosyrt.text.passages import whole_passages
from cosyrt.text.pauses import Pauses
from cosyrt.text.split import (
    Limits,
    Piece,
    arriving_pieces,
    as_written,
    check_readable,
    iter_pieces,
    pieces,
    readable,
    split,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text.json").read_text())

# Upstream errs here; what is right instead.
OURS: dict[str, list[str] | None] = {
    # Escapes that wetext leaves behind would be read as backslashes.
    "He said \"hello\" and 'bye'...": ["He said \"hello\" and 'bye'."],
    # Upstream says nothing at all, or fails with IndexError.
    "，，，。。。": None,
    "   ": None,
}
LONG = [case for case in GOLDEN if max(map(len, case.get("pieces", [""])), default=0) > 120]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["text"][:12]))
def test_pieces_equal_upstream(case: dict[str, Any]) -> None:
    """Normalised and split as upstream does, but for the texts on which upstream errs."""
    expected = OURS.get(case["text"], case.get("pieces"))
    if expected is None:
        with pytest.raises(TextError, match="give some words"):
            pieces(case["text"], len)
    elif case in LONG:
        assert "".join(pieces(case["text"], len)) == "".join(expected)
    else:
        assert pieces(case["text"], len) == expected


def test_upstreams_long_pieces_are_cut_in_equal_parts() -> None:
    """The golden sentences above the budget, which upstream passes whole, become three about equal pieces."""
    assert len(LONG) == 2
    for case in LONG:
        sizes = [len(piece) for piece in pieces(case["text"], len)]
        assert len(sizes) == 3 and max(sizes) <= 120 and min(sizes) >= 60


def byte_count(text: str) -> int:
    return len(text.encode())


@pytest.mark.parametrize("count", [len, byte_count])
@pytest.mark.parametrize("unit", ["字", "word ", "x", "clause, ", "短句，", "Sentence one. ", "é"])
def test_ten_thousand_characters(unit: str, count: Any) -> None:
    """Long text with or without breaks gives pieces within the budget and loses no letter."""
    text = unit * (10_000 // len(unit))
    found = pieces(text, count)
    assert max(map(count, found)) <= 120 and max(map(len, found)) <= 120
    letters = "".join(filter(str.isalnum, "".join(found)))
    assert letters == "".join(filter(str.isalnum, text))


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=300) | st.text(alphabet="ab 3.,!中文。，\n", max_size=600),
    st.integers(4, 120),
    st.sampled_from([len, byte_count]),
)
def test_never_above_the_budget(text: str, most: int, count: Any) -> None:
    """Whatever the text, no piece is above the budget and none is silent."""
    limits = Limits(low=most // 2, high=most * 2 // 3, merge=most // 6, most=most)
    try:
        found = pieces(text, count, limits)
    except TextError:
        return
    assert found and all(count(piece) <= most for piece in found)
    assert all(any(map(str.isalnum, piece)) for piece in found)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["One two.", " Three!", "你好。", " four, five", "六七，八"]), max_size=40))
def test_split_loses_nothing(parts: list[str]) -> None:
    """The pieces of normalised text, joined, are the text."""
    text = "".join(parts)
    assert "".join(split(text, len)) == text


def test_a_cut_prefers_commas() -> None:
    """A sentence above the budget is cut after a comma, then before a space."""
    clause = "the grey cat sleeps on the warm roof, "
    assert all(piece.endswith((",", ".")) for piece in pieces(clause * 10 + "still.", len))
    assert all(piece.startswith(" ") for piece in pieces("word " * 100, len)[1:])


def test_a_stop_inside_a_word_is_no_cut() -> None:
    """A long list of host names is cut between them, not inside."""
    found = split("see " + "example.com " * 30, len)
    assert all("example.com" in piece and not piece.endswith("example.") for piece in found)


def test_budget_counts_tokens_of_chinese_too() -> None:
    """Chinese is grouped by characters as upstream does, and bounded by tokens besides."""
    text = "这句话有十个字啊啊。" * 30
    assert max(len(piece) for piece in split(text, len)) == 80
    assert max(map(byte_count, split(text, byte_count))) <= 120


def test_pieces_come_one_by_one() -> None:
    """The first piece of a long text comes before its last paragraph is looked at."""
    seen: list[str] = []

    def count(text: str) -> int:
        seen.append(text)
        return len(text)

    stream = iter_pieces("A sentence of some length is here.\n\n" * 50 + "The end.", count)
    assert next(stream).text.startswith("A sentence")
    assert not any("end" in text for text in seen)
    assert "The end." in list(stream)[-1].text


def test_empty_text_fails_before_the_first_piece() -> None:
    """Asking for the first piece of a text without words raises."""
    with pytest.raises(TextError, match="empty"):
        next(iter_pieces(" ", len))


def test_text_as_written_is_left_alone() -> None:
    """Numbers, blanks and sentences stay; only what is more than the model takes at once is split."""
    text = " It is 12:30.  Come! "

    assert list(as_written(text, len)) == [text]
    assert max(map(len, as_written(text * 20, len))) <= Limits().most
    with pytest.raises(TextError, match="can be spoken"):
        list(as_written("?!", len))


def capitals(text: str) -> str:
    """What a model that cannot read capitals would say of a text."""
    return "".join(dict.fromkeys(filter(str.isupper, text)))


@pytest.mark.parametrize(
    ("pieces", "left", "warned"),
    [
        (["ab.", " cd."], ["ab.", " cd."], []),
        (["aX.", " bYX.", " cZ."], ["aX.", " bYX.", " cZ."], ["X"]),
        (["XY.", " b."], [" b."], ["XY"]),
        (["a.", " XY."], ["a."], ["XY"]),
        (["ABCDEFGHIJKLMNO a."], ["ABCDEFGHIJKLMNO a."], ["ABCDEFGHIJKL…"]),
        ([], [], []),
    ],
)
def test_what_is_left_is_spoken(
    pieces: list[str], left: list[str], warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Pieces of which something is left are given out; one warning names the letters that are lost."""
    assert list(readable(map(Piece, pieces), capitals)) == list(map(Piece, left))
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == warned


def test_a_text_of_which_nothing_is_left_is_refused() -> None:
    """The error names the letters, in one line that says what to do."""
    with pytest.raises(TextError, match="cannot read the letters XY; give it English") as caught:
        list(readable(map(Piece, ["XY!", " X."]), capitals))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["XY", "X! (Y), X?", "XYZ" * 10_000])
def test_a_text_without_a_readable_letter_is_refused_at_once(text: str) -> None:
    """Letters decide, each looked at once; a digit, or a letter that can be read, lets a text pass."""
    with pytest.raises(TextError, match="cannot read the letters XY"):
        check_readable(text, capitals)
    for readable_text in (text + "a", text + "1", "", "!?"):
        check_readable(readable_text, capitals)


def test_a_sentence_as_written_is_cut_before_it_is_counted() -> None:
    """A word of 100,000 letters is not given to the counter whole."""
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text)

    first = next(as_written("x" * 100_000, count))
    assert 0 < len(first) <= max(counted) <= 1_000


def test_silence_of_a_piece_that_is_left_out_is_kept() -> None:
    """The pause before letters that the voice cannot read is one before the next piece."""
    given = [Piece("a."), Piece("XY.", 0.5), Piece("b.", 0.25), Piece("", 1.0)]
    assert list(readable(given, capitals)) == [Piece("a."), Piece("b.", 0.75), Piece("", 1.0)]


GAPS = Pauses(sentence_s=0.25, paragraph_s=1.5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two.", [("One.", 0), (" Two.", 0.25)]),
        ("One.\n\nTwo. Three.", [("One.", 0), (" Two.", 1.5), (" Three.", 0.25)]),
        ("One[pause:500ms]two.", [("One.", 0), (" two.", 0.5)]),
        ("One. [pause:2s] Two.", [("One.", 0), (" Two.", 2)]),
        ("One.[pause: 0.25 s][pause=250]\n\nTwo.", [("One.", 0), (" Two.", 0.5)]),
        ("[pause:1s]One.[pause:2 sec]", [("One.", 1), ("", 2)]),
        ("第一。\n\n第二[pause:250ms]第三。", [("第一。", 0), ("第二，", 1.5), ("第三。", 0.25)]),
        ("One <break time='1.5s'/> two.", [("One.", 0), (" two.", 1.5)]),
        ("1[pause:1s]2只猫。", [("一。", 0), ("两只猫。", 1)]),
    ],
)
def test_pauses_stand_before_the_pieces_behind_them(text: str, found: list[tuple[str, float]]) -> None:
    """Written pauses and gaps are silence of a piece, whole and in parts."""
    assert [tuple(piece) for piece in iter_pieces(text, len, None, None, GAPS)] == found
    parts = whole_passages(text)
    assert [tuple(piece) for piece in arriving_pieces(parts, len, None, None, GAPS)] == found


def test_without_gaps_paragraphs_and_sentences_share_a_piece() -> None:
    """A text is cut only where silence is asked for."""
    assert list(iter_pieces("One. Two.\n\nThree.", len)) == [Piece("One. Two. Three.")]
    assert list(iter_pieces("One. Two.\n\nThree.", len, None, None, Pauses(paragraph_s=0.5))) == [
        Piece("One. Two."),
        Piece(" Three.", 0.5),
    ]
