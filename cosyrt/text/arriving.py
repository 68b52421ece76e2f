"""Text that arrives in parts of any size → whole words, for a model that reads while it speaks.

Such text cannot be normalised: `3` may become `3.14` or `3 km`. It is only freed of what has no sound, and of
markup (`arriving_markup.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cosyrt.text.normalize import audible
from cosyrt.text.scripts import HAN, KANA
from cosyrt.text.sentences import is_finished

LONGEST_WORD = 100
_MARKS = "，。！？、；："
# Hanzi and kana end anywhere; what else has no blank behind it yet may go on.
_OPEN_WORD = re.compile(rf"\s?[^\s{KANA}{HAN}{_MARKS}]*\Z")
# Hanzi stay together up to a mark: their tokens are then those of the text as a whole.
_WORD = re.compile(rf"\s*(?:[^\s{_MARKS}]{{1,{LONGEST_WORD}}}[{_MARKS}]*[”’」』）]*|[{_MARKS}]+)")


def whole_words(parts: Iterable[str], *, lines: bool = False) -> Iterator[str]:
    """Split text that arrives in parts into whole words, each as soon as it has ended; blanks lead words.

    With `lines` a line end leads the first word of a line, in place of the blank.
    """
    waiting = ""
    for part in parts:
        waiting += audible(part)
        end = _OPEN_WORD.search(waiting, max(0, len(waiting) - LONGEST_WORD - 1))
        cut = end.start() if end and len(waiting) - end.start() <= LONGEST_WORD else len(waiting)
        if waiting[:cut].strip():
            cut = len(waiting[:cut].rstrip())  # a line end belongs to the word behind it
            yield from _words(waiting[:cut], lines)
            waiting = waiting[cut:]
        elif cut:
            waiting = _blank(waiting[:cut], True) + waiting[cut:]  # of blanks one is enough
    if waiting.strip():
        yield from _words(waiting, lines)


class UtteranceEnd:
    """Tells where an utterance that is read while it is spoken ends.

    An utterance ends with a sentence once it has `least` characters, anywhere at `most`.
    """

    def __init__(self, first: str, *, least: int, most: int) -> None:
        self.least, self.most, self.length, self.last = least, most, len(first), first

    def add(self, word: str) -> None:
        """Take the next word into the utterance."""
        self.length, self.last = self.length + len(word), word

    @property
    def reached(self) -> bool:
        """Whether the utterance has all its words."""
        return self.length >= self.most or (self.length >= self.least and is_finished(self.last))


def _words(text: str, lines: bool) -> Iterator[str]:
    return (re.sub(r"\s+", lambda blank: _blank(blank[0], lines), word) for word in _WORD.findall(text))


def _blank(blank: str, lines: bool) -> str:
    return "\n" if lines and "\n" in blank else " "
