"""Long text of any kind: ten times the text is at most twenty times the work."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from cosyrt.engine.pieces import opened, speakable_words
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.errors import TextError
from tests.work import work_of

SHORT, MOST_GROWTH = 2_000, 20
BRIEF = 1_000  # characters, more than a piece has, where a hundred kinds are read
MARKS = "( ) [ { < \" ' “ 「 （ 【 《 ` * _ ~ | \\ ^ #".split()
STOPS = ". … 。 ! ? , 、 ; : - — / $ % & @ + =".split()
BLANKS = [*" \n\t\0😀", "\u3000", "\u200b", "\u202e", "\u0301", "\ue000", "\ufe0f", "👨\u200d👩"]
SCRIPTS = ["ab ", "한글 ", "привет ", *"a A é ß 我 百 你好， あ カ ー 한 ж λ ع ก".split()]
NUMBERS = ["7 ", "1e5 ", "5kg ", "+1 555 ", "IV ", *"7 7. 7, 1- 1: 1/ ½ ① １ 1,000 5kg 1年".split()]
MARKUP = ["**a** ", "```\n", "- ", "1. ", "# ", "a@b.c ", "Dr. ", *"<b> <!-- <| []( ![ &amp; www.a.".split()]
UNITS = MARKS + STOPS + BLANKS + SCRIPTS + NUMBERS + MARKUP


def repeated(units: list[str], length: int) -> str:
    """Text of the units, by turns, of that length."""
    unit = "".join(units)
    return (unit * (length // len(unit) + 1))[:length]


def runs(units: list[str], length: int) -> str:
    """Text of that length in which each unit has a run of its own."""
    return "".join(repeated([unit], length // len(units)) for unit in units)


def requests(text: str) -> Iterator[Request]:
    """Every way to hand over a text that is read as whole sentences."""
    parts = [text[start : start + 7] for start in range(0, len(text), 7)]
    yield Request(text=text)
    yield Request(text=text, as_written=True)
    yield Request(text=parts)
    yield Request(text=parts, as_written=True)


def read(pipeline: Pipeline, request: Request) -> None:
    """Ask for all that the model would be given of a text."""
    try:
        if request.interleave:
            deque(speakable_words(opened(request), frozenset()), maxlen=0)
        else:
            pipeline.read(request)
    except TextError:
        pass  # nothing in it can be spoken


def check_growth(pipeline: Pipeline, short: Request, long: Request) -> None:
    """Hold the work of ten times the text against that of the short one, and of some text at least."""
    before, after = (work_of(partial(read, pipeline, request)) for request in (short, long))
    length = sum(map(len, Request(text=short.text).text_parts()))
    if after > MOST_GROWTH * before:
        before = max(before, work_of(partial(read, pipeline, Request(text=repeated(["word "], length)))))
    assert after <= MOST_GROWTH * before, f"{after / before:.1f} times: {str(short.text)[:40]!r}"


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["(", "「", "ж", "한", "a", " "])
def test_runs_of_one_kind(builtin: Pipeline, unit: str) -> None:
    """Brackets, letters that the voice cannot read, digits or blanks, without any place to cut them."""
    for short, long in zip(requests(unit * SHORT), requests(unit * 10 * SHORT), strict=True):
        check_growth(builtin, short, long)


def read_first(pipeline: Pipeline, request: Request) -> None:
    """Ask for the first piece of a text alone."""
    with suppress(TextError):  # nothing in it can be spoken
        next(pipeline._pieces(opened(request), pipeline.tokenizer.count), None)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_the_first_piece_does_not_wait_for_the_end(builtin: Pipeline, unit: str) -> None:
    """Each of 100,000 characters is looked at a thousand times at most before the first piece or a refusal.

    Some five hundred rules look at a text, each once.
    """
    text = repeated([unit], 50 * SHORT)
    for as_written in (False, True):
        long = Request(text=text, as_written=as_written)
        assert work_of(partial(read_first, builtin, long)) <= 1_000 * len(text)


def check_brief(pipeline: Pipeline, short: str, long: str) -> None:
    """Hold a text that is whole, and one that comes in parts as it is written, against their short forms."""
    for brief, full in list(zip(requests(short), requests(long), strict=True))[::3]:
        check_growth(pipeline, brief, full)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_every_kind(builtin: Pipeline, unit: str) -> None:
    """Each kind of character and of markup."""
    check_brief(builtin, repeated([unit], BRIEF), repeated([unit], 10 * BRIEF))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_mixtures(builtin: Pipeline, seed: int) -> None:
    """Kinds by turns, or one run after the other."""
    chance = random.Random(seed)
    units, arranged = chance.choices(UNITS, k=chance.randint(2, 6)), chance.choice([repeated, runs])
    check_brief(builtin, arranged(units, BRIEF), arranged(units, 10 * BRIEF))


@pytest.mark.parametrize(
    "unit",
    [" ", "(", pytest.param("\n", marks=pytest.mark.slow), pytest.param("word ", marks=pytest.mark.slow)],
)
def test_text_that_is_spoken_while_it_arrives(spelling: Pipeline, unit: str) -> None:
    """Words that come character by character, from blanks alone to no blank at all."""
    short, long = (Request(text=list(unit * times), interleave=True) for times in (SHORT, 10 * SHORT))
    check_growth(spelling, short, long)
