"""Text that arrives in parts of any size → whole words, for a model that reads while it speaks.

Such text cannot be normalised: `3` may become `3.14` or `3 km`. It is only freed of what has no sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cosyrt.text.normalize import audible, is_speakable
from cosyrt.text.scripts import HAN, KANA
from cosyrt.text.sentences import is_finished

LONGEST_WORD = 100
_MARKS = "，。！？、；："
# Hanzi and kana end anywhere; what else has no blank behind it yet may go on.
_OPEN_WORD = re.compile(rf"\s?[^\s{KANA}{HAN}{_MARKS}]*\Z")
# Hanzi stay together up to a mark: their tokens are then those of the text as a whole.
_WORD = re.compile(rf"\s*(?:[^\s{_MARKS}]{{1,{LONGEST_WORD}}}[{_MARKS}]*[”’」』）]*|[{_MARKS}]+)")


def whole_words(parts: Iterable[str]) -> Iterator[str]:
    """Split text that arrives in parts into whole words, each as soon as it has ended; blanks lead words."""
    waiting = ""
    for part in parts:
        waiting += audible(part)
        end = _OPEN_WORD.search(waiting, max(0, len(waiting) - LONGEST_WORD - 1))
        cut = end.start() if end and len(waiting) - end.start() <= LONGEST_WORD else len(waiting)
        if waiting[:cut].strip():
            yield from _words(waiting[:cut])
            waiting = waiting[cut:]
        elif cut:
            waiting = " " + waiting[cut:]  # of blanks one is enough
    if waiting.strip():
        yield from _words(waiting)


def utterances(words: Iterator[str], *, least: int, most: int) -> Iterator[Iterator[str]]:
    """Group words into utterances; each must be read to its end before the next is asked for.

    An utterance ends with a sentence once it has `least` characters, anywhere at `most`. Words without a
    letter or digit begin none.
    """
    for first in words:
        if is_speakable(first):
            yield _utterance(first, words, least, most)


def _utterance(first: str, words: Iterator[str], least: int, most: int) -> Iterator[str]:
    yield first.lstrip()
    length, last = len(first), first
    while length < most and not (length >= least and is_finished(last)):
        following = next(words, None)
        if following is None:
            return
        yield following
        length, last = length + len(following), following


def _words(text: str) -> Iterator[str]:
    return (re.sub(r"\s+", " ", word) for word in _WORD.findall(text))
