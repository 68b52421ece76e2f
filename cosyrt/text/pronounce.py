"""Text → pronunciation units, what the built-in voice reads instead of letters.

A language model this small cannot learn English spelling or thousands of hanzi from a few hours of speech;
it can learn 69 phones, 26 letters and some 200 parts of Mandarin syllables.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from cosyrt.text import mandarin
from cosyrt.text.english import ENGLISH_WORD, LETTERS, PHONES, English, plural, spelled_words
from cosyrt.text.scripts import HAN, has_han
from cosyrt.text.sentences import is_spelling
from cosyrt.text.sounds import TAG_RUN, is_sound_run, units_of_tags
from cosyrt.text.zh.numbers import HAN_DIGITS

BOUNDARY = "|"
FINAL_MARKS = (".", "?", "!")
MARKS = (",", *FINAL_MARKS)

_DIGITS_EN = "zero one two three four five six seven eight nine".split()
_PARTS = re.compile(rf"(?P<english>{ENGLISH_WORD})|(?P<hanzi>[{HAN}]+)|(?P<mark>[,.?!])", re.ASCII)
_SOUND_RUN = re.compile(rf"(?P<tags>{TAG_RUN.pattern})(?:['’]s(?![A-Za-z]))?")
# Inside a word a full stop is spelling (U.S., example.com), not a pause.
_INNER_STOP = re.compile(r"(?<=[A-Za-z])\.(?=[A-Za-z])")
_SPELLING = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d",
     "ð": "th", "þ": "th", "ı": "i", "’": "'", "‘": "'", "ʼ": "'", "`": "'"}
    | dict.fromkeys("、;:()[]{}—–―~・…", ",")
    | dict.fromkeys("。｡", ".")
)  # fmt: skip


def vocabulary() -> list[str]:
    """Every pronunciation unit, in the fixed order that numbers them (the tokenizer's vocabulary)."""
    return [*MARKS, BOUNDARY, *PHONES, *LETTERS, *mandarin.INITIALS, *mandarin.FINALS]


class ArpabetPinyin:
    """English as ARPAbet phones with stress, Mandarin as pinyin initials and finals, in one sequence.

    `|` stands between words where no mark does (not between hanzi); `,` `.` `?` `!` are pauses.
    English words nobody knows are given by letter (`L:a`). Meant for normalised text; digits that are
    left are read one by one and symbols that cannot be said are dropped. Sound tags are the sounds they name.
    """

    def __init__(self) -> None:
        self._english = English()

    def __call__(self, text: str) -> list[str]:
        """Units of a text: all from `vocabulary()`, the last one `.`, `?` or `!`, no two marks in a row."""
        units: list[str] = []
        for run, is_sounds in _with_sounds(text):
            for part in [_sounds(run)] if is_sounds else self._parts(_plain(run)):
                if part[0] in MARKS:
                    _add_mark(units, part[0])
                else:
                    _add_word(units, part)
        _finish(units)
        return units

    def unread(self, text: str) -> str:
        """Letters and digits of the text that cannot be pronounced, each once."""
        foreign = (c for c in dict.fromkeys(text) if not c.isascii() and c.translate(_SPELLING).isalnum())
        return "".join(c for c in foreign if self(c)[0] in MARKS)

    def _parts(self, text: str) -> Iterator[list[str]]:
        spelled = spelled_words(text)
        for match in _PARTS.finditer(text):
            if match["mark"]:
                if match["mark"] != "." or not is_spelling(text, match.start()):
                    yield [match["mark"]]
            elif match["hanzi"]:
                yield from filter(None, [mandarin.hanzi_units(match["hanzi"])])
            else:
                english = self._english.read(match["english"], spelled=match.start() in spelled)
                yield from map(list, english)


PRONUNCIATIONS = {"arpabet-pinyin": ArpabetPinyin}


def _with_sounds(text: str) -> Iterator[tuple[str, bool]]:
    """Part a text at its runs of sound tags, which are said as they are."""
    done = 0
    for run in _SOUND_RUN.finditer(text):
        if is_sound_run(run["tags"]):
            yield text[done : run.start()], False
            yield run[0], True
            done = run.end()
    yield text[done:], False


def _sounds(run: str) -> list[str]:
    """Units of a run of sound tags, with the ending of a word that has one: `[JH][IH1][F]'s`."""
    units = units_of_tags(run)
    return units if run.endswith("]") else list(plural(tuple(units)))


def _plain(text: str) -> str:
    """Rewrite a text in a-z, hanzi and the four marks as far as possible; digits become words."""
    text = text.translate(_SPELLING)  # before NFKC, which would turn … into three stops
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    text = "".join(c for c in text if not unicodedata.combining(c)).translate(_SPELLING)
    chinese = has_han(text)
    text = re.sub(r"\d", lambda digit: _digit(int(digit[0]), chinese), text)
    return _INNER_STOP.sub(" ", text)


def _digit(value: int, chinese: bool) -> str:
    return HAN_DIGITS[value] if chinese else f" {_DIGITS_EN[value]} "


def _add_mark(units: list[str], mark: str) -> None:
    if not units:
        return
    if units[-1] not in MARKS:
        units.append(mark)
    elif MARKS.index(mark) > MARKS.index(units[-1]) and units[-1] != "?":
        units[-1] = mark


def _add_word(units: list[str], word: list[str]) -> None:
    both_hanzi = bool(units) and units[-1].startswith("z:") and word[0].startswith("z:")
    if units and units[-1] not in MARKS and not both_hanzi:
        units.append(BOUNDARY)
    units.extend(word)


def _finish(units: list[str]) -> None:
    if units and units[-1] == ",":
        units.pop()
    if not units or units[-1] not in FINAL_MARKS:
        units.append(".")
