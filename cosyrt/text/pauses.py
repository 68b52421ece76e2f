"""Pauses in a text: written ones, `[pause:500ms]`, and those between its sentences and paragraphs.

A written pause passes the rules as one private character, a mark, which no rule reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from numbers import Real

from cosyrt.arguments import number_of
from cosyrt.errors import TextError, UsageError

LONGEST_PAUSE_S = 20.0
SHORT_PAUSE_S = 0.3  # up to here a sentence goes on behind the pause

PARAGRAPH = "\ue7ff"  # the mark of a new paragraph
_FIRST_MARK = 0xE800  # a pause of 0 s; each further mark is a step longer
_STEPS_PER_S = 100
_LAST_MARK = _FIRST_MARK + round(LONGEST_PAUSE_S * _STEPS_PER_S)
_MARK = re.compile(f"([{PARAGRAPH}{chr(_FIRST_MARK)}-{chr(_LAST_MARK)}])")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
DEFAULT_PAUSE_S = 0.5  # of a pause that is written without a length
_UNITS_S = {
    "ms": 0.001,
    "msec": 0.001,
    "millisecond": 0.001,
    "毫秒": 0.001,
    "s": 1,
    "sec": 1,
    "second": 1,
    "秒": 1,
}
_NAME, _LENGTH = r"(?:pause|停顿)", r"\d{1,9}(?:\.\d{1,9})?|\.\d{1,9}"
_UNIT = "|".join(sorted(_UNITS_S, key=len, reverse=True))
_WRITTEN = re.compile(rf"\[\s*{_NAME}\s*(?:[:=：＝]?\s*({_LENGTH})\s*({_UNIT})?s?)?\s*\]", re.I)
# The beginning of one, as far as it has arrived.
_OPEN_LENGTH = rf"(?:{_LENGTH})\s*[a-z毫秒]{{0,12}}\s*"
_OPEN = re.compile(rf"\[\s*(?:停|{_NAME}\s*(?:[:=：＝]?\s*(?:{_OPEN_LENGTH})?)?)?$", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Silence that is added between the parts of a text, in seconds.

    Raises:
        UsageError: a value that is no number, negative, or longer than the longest pause.
    """

    sentence_s: float = 0.0
    paragraph_s: float = 0.0  # after a blank line; it stands in place of the pause between sentences

    def __post_init__(self) -> None:
        for field in fields(self):
            value = number_of(getattr(self, field.name))
            if not isinstance(value, Real) or not 0 <= float(value) <= LONGEST_PAUSE_S:
                raise UsageError(
                    f"{field.name} is {value!r}; give a pause of 0 to {LONGEST_PAUSE_S:g} seconds"
                )
            object.__setattr__(self, field.name, float(value))


NO_PAUSES = Pauses()


def pause_mark(seconds: float) -> str:
    """The mark of a pause.

    Raises:
        TextError: it is longer than the longest.
    """
    if not 0 <= seconds <= LONGEST_PAUSE_S:
        raise TextError(f"a pause of {seconds:g} s is too long; give at most {LONGEST_PAUSE_S:g} s")
    return chr(_FIRST_MARK + round(seconds * _STEPS_PER_S))


def hide_pauses(text: str) -> str:
    """Replace each written pause of a text by its mark; a number without a unit is in milliseconds.

    Without a number it is half a second.

    Private characters that the text has itself are left out: they would be taken for marks.

    Raises:
        TextError: a pause is longer than the longest.
    """
    text = text if text.isascii() else _PRIVATE.sub("", text)
    return _WRITTEN.sub(lambda found: pause_mark(_seconds(found[1], found[2])), text) if "[" in text else text


def without_pauses(text: str) -> str:
    """The text without the pauses that are written in it."""
    return _WRITTEN.sub("", text)


def whole_pauses(words: Iterable[str]) -> Iterator[str]:
    """Join the words of a text that belong to one written pause: `[pause:`, `1` and `s]`."""
    waiting = ""
    for word in words:
        waiting += word
        if "[" not in waiting or not _OPEN.search(waiting):
            yield waiting
            waiting = ""
    if waiting:
        yield waiting


def split_at_marks(text: str) -> list[str]:
    """Split a text so that each mark stands alone; parts of blanks are left out."""
    return [part for part in _MARK.split(text) if part.strip()]


def is_mark(text: str) -> bool:
    """Whether the text is the mark of a pause or a paragraph."""
    return len(text) == 1 and _MARK.match(text) is not None


def seconds_of(mark: str) -> float:
    """How long the pause of a mark is; that of a paragraph is a setting, and 0 here."""
    return 0.0 if mark == PARAGRAPH else (ord(mark) - _FIRST_MARK) / _STEPS_PER_S


def written_pause(seconds: float) -> str:
    """A pause as it is written in a text."""
    return f"[pause:{round(seconds * 1000)}ms]"


def _seconds(number: str | None, unit: str | None) -> float:
    if number is None:
        return DEFAULT_PAUSE_S
    return float(number) * _UNITS_S[(unit or "ms").lower()]
