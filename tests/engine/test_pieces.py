"""From the text of a request to pieces: whole or arriving, with an instruction in front or without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosyrt.engine.pieces import opened, speakable_words, text_pieces
from cosyrt.engine.prompts import END_OF_PROMPT
from cosyrt.engine.request import Request
from cosyrt.errors import TextError, UsageError
from cosyrt.text.lexicon import Lexicon
from cosyrt.text.pauses import Pauses
from cosyrt.text.sounds import SOUND_TAGS
from cosyrt.text.split import Piece

TWO = "Hello there. How are you?"


def split(request: Request) -> list[str]:
    return [piece.text for piece in text_pieces(opened(request), len, frozenset())]


def test_a_whole_text_and_its_parts_are_read_alike() -> None:
    """Where a text is cut on its way has no say in what is spoken."""
    whole = split(Request(text=TWO))

    assert "".join(whole).split() == TWO.split()
    for parts in ([TWO], ["Hello th", "ere. How", " are you?"], list(TWO)):
        assert " ".join(split(Request(text=parts))).split() == TWO.split()


def test_a_piece_does_not_wait_for_the_next_part() -> None:
    """A passage is given out when it has ended, before more of the text is asked for."""
    asked = 0

    def parts() -> Iterator[str]:
        nonlocal asked
        for part in ("Hello there. And then", " more. ", "The end."):
            asked += 1
            yield part

    found = text_pieces(opened(Request(text=parts())), len, frozenset())
    assert next(found).text.strip() == "Hello there."
    assert asked == 1


@pytest.mark.parametrize("text", [f"Softly.{END_OF_PROMPT}{TWO}", ["Softly.", f"{END_OF_PROMPT}{TWO}"]])
def test_an_instruction_goes_into_the_style(text: str | list[str]) -> None:
    """An instruction stands in front of the words, and is none of them."""
    begun = opened(Request(text=text))

    assert begun.request.style.instruction == f"Softly.{END_OF_PROMPT}"
    assert begun.first and TWO.startswith(begun.first.strip())
    assert "".join(piece.text for piece in text_pieces(begun, len, frozenset())).split() == TWO.split()


def test_a_late_instruction_is_refused() -> None:
    """Words before it may have been spoken already, and it would be spoken, too."""
    with pytest.raises(UsageError, match="comes after words"):
        split(Request(text=["Hello there. And", " more. ", f"Softly.{END_OF_PROMPT}Yes."]))


def test_text_as_written_is_not_normalised() -> None:
    """Digits stay digits, whole or arriving."""
    assert split(Request(text="It is 3 pm.", as_written=True)) == ["It is 3 pm."]
    assert "".join(split(Request(text=["One 1. ", "Two."], as_written=True))) == "One 1. Two."
    with pytest.raises(TextError):
        split(Request(text="…", as_written=True))


@pytest.mark.parametrize("text", ["", "…", [], ["", " "]])
def test_nothing_to_speak(text: str | list[str]) -> None:
    """A text without a word is an error, whole or arriving, at once or word by word."""
    with pytest.raises(TextError):
        split(Request(text=text))
    with pytest.raises(TextError):
        list(speakable_words(opened(Request(text=text, interleave=True)), frozenset()))


def test_words_of_an_interleaved_text() -> None:
    """Whole words come as soon as each has ended, however the text arrives."""
    words = list(
        speakable_words(opened(Request(text=["Hel", "lo the", "re."], interleave=True)), frozenset())
    )

    assert [word.strip() for word in words] == ["Hello", "there."]


def test_pauses_of_a_text_as_written() -> None:
    """A pause is none of the words, which are left as they are; at the end it is silence alone."""
    request = Request(text="It is 12:30.[pause:1s] Come![pause:2s]", as_written=True)
    found = list(text_pieces(opened(request), len, frozenset()))
    assert found == [Piece("It is 12:30."), Piece(" Come!", 1.0), Piece("", 2.0)]


def test_words_of_the_lexicon_are_said_as_it_says() -> None:
    """A text that interleaves is read word by word: its lexicon holds, its written pauses are left out."""
    lexicon = Lexicon.of({"GIF": "jiff", "重庆": "chong2 qing4"})
    request = Request(text="The GIF [pause:1s] of 重庆.", interleave=True, lexicon=lexicon)
    spoken = "".join(speakable_words(opened(request), SOUND_TAGS))
    assert spoken.split() == ["The", "jiff", "of", "[ch][óng][q][ìng]."]
    with pytest.raises(UsageError, match="leave out pauses or interleave"):
        Request(interleave=True, pauses=Pauses(sentence_s=1))


@pytest.mark.parametrize("cut", [1, 4, 1_000])
@pytest.mark.parametrize("as_written", [False, True])
def test_pauses_with_blanks_are_left_out_with_one_warning(
    cut: int, as_written: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """However the text is cut on its way, none of the words of a pause is spoken."""
    text = "Wait [pause: 1 s] for [ pause 500 ms ] me.[pause] 等[停顿：1 秒]我。"
    parts = [text[at : at + cut] for at in range(0, len(text), cut)]
    request = Request(text=parts, interleave=True, as_written=as_written)
    spoken = "".join(speakable_words(opened(request), frozenset()))

    assert spoken.split() == ["Wait", "for", "me.", "等我。"]
    assert caplog.text.count("has no pauses") == 1
