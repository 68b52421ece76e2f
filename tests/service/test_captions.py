"""Captions: times as each format writes them, whatever the pieces are."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.captions import file_of

PIECES = st.lists(st.tuples(st.text(min_size=1, max_size=20), st.floats(0.01, 4_000)), min_size=1, max_size=5)


def pieces_of(drawn: list[tuple[str, float]]) -> list[SpokenPiece]:
    """Pieces one after another."""
    pieces, at = list[SpokenPiece](), 0.0
    for text, seconds in drawn:
        pieces.append(SpokenPiece(text, at, at + seconds))
        at += seconds
    return pieces


def seconds(clock: str) -> float:
    """What a clock of a caption says."""
    hours, minutes, rest = clock.replace(",", ".").split(":")
    assert float(minutes) < 60 > float(rest)
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@given(PIECES, st.sampled_from(["srt", "vtt"]))
def test_clocks_are_true_to_the_thousandth(drawn: list[tuple[str, float]], format: str) -> None:
    """Each piece has its begin and end, rounded, also beyond an hour."""
    pieces = pieces_of(drawn)
    text = file_of(pieces, format).decode()
    found = re.findall(r"^(\d+:\d\d:\d\d[,.]\d{3}) --> (\d+:\d\d:\d\d[,.]\d{3})$", text, re.MULTILINE)
    times = [(seconds(begin), seconds(end)) for begin, end in found]

    assert len(times) >= len(pieces)
    for piece in pieces:
        assert any(
            abs(piece.begin_s - begin) <= 0.00051 and abs(piece.end_s - end) <= 0.00051
            for begin, end in times
        )


def test_a_page_of_a_browser_takes_no_tags() -> None:
    """WebVTT has tags; those of a text are words in it."""
    assert "a &lt;b&gt; &amp; c" in file_of([SpokenPiece("a <b> & c", 0, 1)], "vtt").decode()


def test_json_has_numbers() -> None:
    """Segments have ids, times and texts; nothing spoken is no segment."""
    told = json.loads(file_of([SpokenPiece(" Hi. ", 0.25, 1.0)], "json"))

    assert told == {"duration": 1.0, "segments": [{"id": 0, "start": 0.25, "end": 1.0, "text": "Hi."}]}
    assert json.loads(file_of([], "json")) == {"duration": 0.0, "segments": []}


def test_pieces_come_from_the_ticket(tiny: Pipeline) -> None:
    """The scheduler notes each piece when it was spoken."""
    from cosyrt.engine.request import Request
    from cosyrt.engine.scheduler import Scheduler

    with Scheduler(tiny) as scheduler:
        ticket = scheduler.submit(Request(text="Hi. Bye."))
        spoken_s = sum(audio.seconds for audio in ticket)

    assert [piece.text.strip() for piece in ticket.pieces] == ["Hi.", "Bye."]
    assert abs(ticket.pieces[-1].end_s - spoken_s) < 1e-6
