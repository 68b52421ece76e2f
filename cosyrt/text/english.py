"""English words as ARPAbet phones: a dictionary, a few endings, letter names, and letters as they stand.

Phones are those of the CMU Pronouncing Dictionary, vowels with their stress (0 none, 1 first, 2 second).
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files

from cosyrt.text.scripts import HAN, has_han

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
PHONES = tuple(_CONSONANTS + [vowel + stress for vowel in _VOWELS for stress in "012"])
LETTERS = tuple("L:" + letter for letter in "abcdefghijklmnopqrstuvwxyz")

_SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
_SPELLED_LETTERS_MAX = 5

# Those of the dictionary's words that are more often abbreviations when they alone are in capitals.
_ABBREVIATIONS = frozenset(
    "AD AI AM AR CO COO CT EM ER EST ET EV ID IT LA LAX LED MC MS NGO OS OT PA TA UN UPS US VAT WHO".split()
)
# Words after which a capital A is a letter.
_BEFORE_LETTERS = frozenset(
    "an answer appendix block category class exhibit gate grade group hall hepatitis letter level option "
    "part plan point question row section series side step team the tier type vitamin".split()
)
ENGLISH_WORD = "(?<!')'*[A-Za-z][A-Za-z']*"
_TOKEN = re.compile(rf"{ENGLISH_WORD}|[,.?!\"“”«»„/]|[{HAN}]")
_NEXT_WORD = re.compile(" ([A-Za-z])")

Phones = tuple[str, ...]


def plural(base: Phones) -> Phones:
    """The phones of a word with s behind it: `cats`, `dogs`, `kisses`."""
    if base[-1] in _SIBILANTS:
        return (*base, "IH0", "Z")
    return (*base, "S" if base[-1] in _VOICELESS else "Z")


def _past(base: Phones) -> Phones:
    if base[-1] in ("T", "D"):
        return (*base, "IH0", "D")
    return (*base, "T" if base[-1] in _VOICELESS | {"S", "SH", "CH"} else "D")


def _plus(*ending: str) -> Callable[[Phones], Phones]:
    return lambda base: base + ending


# Ending, what replaces it in the base word ("2" = the base doubles its last letter), and how it sounds.
_ENDINGS: tuple[tuple[str, tuple[str, ...], Callable[[Phones], Phones]], ...] = (
    ("'s", ("",), plural),
    ("ies", ("y",), plural),
    ("es", ("", "e"), plural),
    ("s", ("",), plural),
    ("ied", ("y",), _past),
    ("ed", ("", "e", "2"), _past),
    ("ing", ("", "e", "2"), _plus("IH0", "NG")),
    ("in", ("g",), _plus()),
    ("ily", ("y",), _plus("L", "IY0")),
    ("ly", ("",), _plus("L", "IY0")),
    ("ness", ("",), _plus("N", "AH0", "S")),
    ("less", ("",), _plus("L", "AH0", "S")),
    ("able", ("", "e"), _plus("AH0", "B", "AH0", "L")),
    ("iest", ("y",), _plus("AH0", "S", "T")),
    ("est", ("", "e", "2"), _plus("AH0", "S", "T")),
    ("er", ("", "e", "2"), _plus("ER0")),
)


class English:
    """Reads one English word at a time."""

    @cached_property
    def words(self) -> Mapping[str, str]:
        """The dictionary: lower-case word → its phones, separated by spaces."""
        packed = files("cosyrt").joinpath("builtin", "cmudict.txt.xz").read_bytes()
        lines = lzma.decompress(packed).decode("ascii").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def read(self, word: str, *, spelled: bool = False) -> list[Phones]:
        """Units of one written word of a-z, A-Z and inner apostrophes, one tuple for each spoken word.

        A `spelled` word gives the names of its letters. A word of the dictionary, or one made of such a
        word and an ending, gives phones. Other words give the names of their letters when they look like
        an abbreviation (short capitals, or no vowel letter), else their letters as they stand, for the
        model to read.
        """
        lower = word.lower().strip("'")
        phones = self._look_up(word.lower()) or self._look_up(lower) or self._with_ending(lower)
        if phones and not spelled:
            return [phones]
        letters = lower.replace("'", "")
        short_capitals = word.isupper() and len(letters) <= _SPELLED_LETTERS_MAX
        if spelled or short_capitals or not set(letters) & set("aeiouy"):
            return [self._letter_name(letter) for letter in letters]
        return [tuple("L:" + letter for letter in letters)]

    def _look_up(self, word: str) -> Phones:
        return tuple(self.words.get(word, "").split())

    def _letter_name(self, letter: str) -> Phones:
        return ("EY1",) if letter == "a" else self._look_up(letter)

    def _with_ending(self, word: str) -> Phones:
        for ending, replacements, sound in _ENDINGS:
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < 2:
                continue
            for replacement in replacements:
                base = self._look_up(_base(stem, replacement))
                if base:
                    return sound(base)
        return ()


def _base(stem: str, replacement: str) -> str:
    if replacement != "2":
        return stem + replacement
    return stem[:-1] if stem[-1] == stem[-2] else ""


def spelled_words(text: str) -> frozenset[int]:
    """The positions of words that are said letter by letter.

    Their neighbours decide: in `TELL US.` everything is in capitals, in `The US team` only the abbreviation.
    """
    matches = list(_TOKEN.finditer(text))
    tokens = [match[0].strip("'") for match in matches]
    chinese = has_han(text)
    return frozenset(
        match.start()
        for at, match in enumerate(matches)
        if (tokens[at] == "A" and not _is_article(text, match.end(), tokens[at - 1] if at else ""))
        or (tokens[at] in _ABBREVIATIONS and (chinese or not _is_shouted(tokens, at)))
    )


def _is_shouted(tokens: Sequence[str], at: int) -> bool:
    """Whether the nearest other word on one side is in capitals too."""
    before = next((tokens[i] for i in range(at - 1, -1, -1) if tokens[i] not in _ABBREVIATIONS), "")
    after = next((tokens[i] for i in range(at + 1, len(tokens)) if tokens[i] not in _ABBREVIATIONS), "")
    return before.isupper() or (after.isupper() and after != "I")


def _is_article(text: str, end: int, before: str) -> bool:
    """Whether a capital A is the article: before another word, unless it follows `vitamin` and the like."""
    following = _NEXT_WORD.match(text, end)
    if following is None:
        return False
    return before.lower() not in _BEFORE_LETTERS or following[1].isupper()
