"""Captions, as SRT and WebVTT files hold them: read, written, and made of speech and when it was heard."""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from cosyrt.errors import TextError
from cosyrt.text.scripts import has_han
from cosyrt.text.sentences import best_break

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}.*")
_STYLES = re.compile(r"</?[A-Za-z/][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")  # <i>, <v Ann>, karaoke times, {\an8}
_ROW = {False: 42, True: 20}  # characters of a row, by whether it is Chinese
_ROWS = 2


class Caption(NamedTuple):
    """Words that are shown, or spoken, for a time: in seconds from the beginning."""

    begin_s: float
    end_s: float
    text: str


class Spoken(Protocol):
    """A part of a text, and when it is heard."""

    @property
    def text(self) -> str: ...
    @property
    def begin_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


def read_captions(text: str) -> list[Caption]:
    """The captions of an SRT or WebVTT file, in the order of their times; their styles are left out.

    Raises:
        TextError: there is none, or one ends before it begins.
    """
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    found = sorted(caption for block in blocks for caption in _caption(block))
    if not found:
        raise TextError("there are no captions; each needs a line such as 00:00:01,000 --> 00:00:02,500")
    return found


def in_rows(text: str) -> str:
    """A caption in two rows of about the same length, if it does not fit into one."""
    text = " ".join(text.split())
    if len(text) <= _ROW[has_han(text)]:
        return text
    cut = best_break(text, min(_ROW[has_han(text)], len(text) * 5 // 8))
    return f"{text[:cut].strip()}\n{text[cut:].strip()}"


def srt(captions: Iterable[Caption], *, shown: Callable[[str], str] = in_rows) -> str:
    """Write captions as an SRT file; `shown` lays the words of one out."""
    return "".join(
        f"{number}\n{_time(begin, ',')} --> {_time(end, ',')}\n{shown(text)}\n\n"
        for number, (begin, end, text) in enumerate(captions, 1)
    )


def vtt(captions: Iterable[Caption], *, shown: Callable[[str], str] = in_rows) -> str:
    """Write captions as a WebVTT file; `shown` lays the words of one out."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(begin, '.')} --> {_time(end, '.')}\n{html.escape(shown(text), quote=False)}\n\n"
        for begin, end, text in captions
    )


FORMATS = {".srt": srt, ".vtt": vtt}


def captions_of(sentences: Iterable[tuple[str, str]], spoken: Sequence[Spoken]) -> list[Caption]:
    """Captions of sentences, each given as it is written and as it was spoken.

    `spoken` are the pieces in which the sentences were heard, in order; inside a piece the time goes with
    the letters. A sentence that was left out has no caption.
    """
    clock, at, captions = _Clock(spoken), 0, list[Caption]()
    for written, said in sentences:
        letters = _letters(said)
        begin = clock.letters.find(letters, at) if letters else -1
        if begin >= 0:
            at = begin + len(letters)
            captions += _parted(written.strip(), clock, begin, at)
    return captions


class _Clock:
    """When each letter of some pieces is heard."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        parts = [_letters(piece.text) for piece in spoken]
        self.letters = "".join(parts)
        self._spoken = spoken
        self._ends = list(accumulate(map(len, parts)))  # of the pieces, in letters

    def begin_s(self, letter: int) -> float:
        """When a letter begins to be heard."""
        return self._time(letter, bisect_right(self._ends, letter))

    def end_s(self, letter: int) -> float:
        """When the letter before that one has been heard; at the end of a piece, the end of its sound."""
        return self._time(letter, bisect_left(self._ends, letter))

    def _time(self, letter: int, piece: int) -> float:
        start = self._ends[piece - 1] if piece else 0
        share = (letter - start) / (self._ends[piece] - start)
        begin_s, end_s = self._spoken[piece].begin_s, self._spoken[piece].end_s
        return begin_s + share * (end_s - begin_s)


def _parted(text: str, clock: _Clock, begin: int, end: int) -> Iterator[Caption]:
    """Cut a caption that is too long for the screen into about equal ones, which share its letters."""
    most = _ROW[has_han(text)] * _ROWS
    count, length, done = -(-len(text) // most), len(text), 0
    while done < length:
        rest = text[done:]
        cut = len(rest) if count <= 1 else best_break(rest, min(most, -(-len(rest) // count) + most // 8))
        first, last = (begin + (end - begin) * at // length for at in (done, done + cut))
        if shown := rest[:cut].strip():
            yield Caption(clock.begin_s(min(first, end - 1)), clock.end_s(max(last, begin + 1)), shown)
        done, count = done + cut, max(1, -(-(len(rest) - cut) // most))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _caption(block: str) -> Iterator[Caption]:
    """The caption of a block, if it has times and words; titles, notes and styles have no times."""
    lines = block.strip().split("\n")
    for number, line in enumerate(lines):
        if times := _TIMES.fullmatch(line):
            begin, end = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
            if end < begin:
                raise TextError(f"a caption ends before it begins: {line.strip()[:60]}; correct its times")
            words = html.unescape(_STYLES.sub("", " ".join(map(str.strip, lines[number + 1 :]))))
            if words.strip():
                yield Caption(begin, end, words.strip())
            return


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole * 1000 + int(fraction.ljust(3, "0"))) / 1000


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
