"""Where text may be cut: at sentence ends, else at commas, else at spaces, else anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUN = re.compile(r"""(?P<marks>[。？！；：、.?!;:]+)(?P<closing>["”’'」』)]?)""")
_FINAL = re.compile(r"""[。？！；：、.?!;:]["”’'」』)]?$""")
# Capitals after `St.` begin a name (Saint), except those of words that begin a sentence.
STARTERS = (
    r"(?:The|A|An|He|She|It|In|They|We|I|But|And|This|That|There|You|When|If|At|On|My|His|Her|Then|So)\b"
)
# A number of things, after which `no.` is an answer: `He said no. 5 people left.`
COUNTED_THINGS = r"\s*\d[\d,.]*\s+(?:people|men|women|children|(?!(?:is|was|has|as|this|its)\b)[a-z]+s)\b"
MONTH_DAY = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)[a-z]*\.? ?\d"
# The day of a month as German writes it, whose stop ends nothing.
_GERMAN_DAY = re.compile(
    r"(?<!\w)(?:[Aa]m|[Dd]en|[Dd]em|[Vv]om|[Zz]um|[Dd]er|[Dd]es|[Bb]is|[Aa]b|[Ss]eit) \d{1,2}$"
)
_GERMAN_MONTH = re.compile(
    r"\s+(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert)"
)
LONGEST_SPELLING = 9  # characters before a stop that decide whether it is theirs
_LOOKAHEAD = 100  # characters behind it that do
_SHORT_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,7}$")
# Abbreviations whose stop is theirs, and what must follow for it (`$`: what follows is not there yet).
_ABBREVIATIONS = {
    word: re.compile(what_follows)
    for words, what_follows in (
        ("Dr", rf"(?!\s+{STARTERS})"),
        (
            "Mr Mrs Ms Prof Gen Col Capt Sgt Lt Gov Sen Rep Rev Hon Maj Cmdr Adm Cpl Mt Ft Fig "
            "Figs approx vs cf",
            "",
        ),
        ("St", rf"(?!\s+{STARTERS})"),
        ("No no", rf"(?!{COUNTED_THINGS})\s*(?:\d|$)"),
        (
            "Nos nos ca Cat Fl Ste Rm Rt Rte Hwy Est est Pop pop exp Exp Vol vol fig figs Sc sc Lv lv p "
            "pp ch Ch sec Sec Apt apt Ext ext Tel tel Art art Eq eq Bldg bldg vv Ed ed Op op Ps Pss Ex "
            "Num Deut Isa Jer Matt Rom Cor Gal Eph Phil Thess Tim Heb Jas Pet",
            r"\s*(?:\(?\d|[IVX]+\b|$)",
        ),
        ("Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec", r"\s*(?:\d|[a-z]|$)"),
        (
            "Mon Tue Tues Wed Thu Thurs Fri Sat Sun",
            rf",?\s*(?:\d|thru\b|through\b|to\b|and\b|or\b|morning|afternoon|evening|night|{MONTH_DAY}|$)",
        ),
        ("mo wk yr oz lb lbs ft in hr hrs min sec yd pt qt gal tsp tbsp sq a.m p.m", r",?\s*(?:[a-z\d(]|$)"),
        ("Jr Sr Inc Ltd Co Corp Ave Blvd Rd Dept etc al", r"\s*(?:[a-z]|$)"),
    )
    for word in words.split()
}
# In order of preference. A comma between digits is part of a number.
_BREAKS = (
    re.compile(r"(?<=[。？！；])|(?<=[a-z0-9][.?!;])(?=\s)"),
    re.compile(r"(?<=[，：、])|(?<=[,:])(?![!-~])"),
    re.compile(r"(?=\s)"),
)


def sentences(text: str) -> Iterator[str]:
    """Split a text into sentences with their marks; only repeated marks are lost (`...` becomes `.`).

    Source: upstream `split_paragraph` (cosyvoice/utils/frontend_utils.py), which also ends a sentence inside
    `example.com`, `i.e.` and `Prof. Jones`.
    """
    start = 0
    for run in _RUN.finditer(text):
        if not _ends_sentence(text, run):
            continue
        if run.start() > start:
            yield text[start : run.start() + 1] + run["closing"]
        start = run.end()
    if start < len(text):
        yield text[start:]


def is_finished(text: str) -> bool:
    """Whether the text ends as a sentence does, closing quote or bracket included."""
    return _FINAL.search(text) is not None


def may_be_spelling(text: str, at: int) -> bool:
    """Whether the lone stop there follows a letter or an abbreviation, so that what follows decides."""
    before = text[max(0, at - LONGEST_SPELLING) : at]
    word = _short_word(before)
    return _ends_in_german_day(before) if word is None else len(word) == 1 or word in _ABBREVIATIONS


def is_spelling(text: str, at: int) -> bool:
    """Whether a full stop belongs to the word before it: `J. Smith`, `i.e.`, `Dr.`, `etc. and`."""
    before = text[max(0, at - LONGEST_SPELLING) : at]
    return _is_spelling(before, text[at + 1 : at + 1 + _LOOKAHEAD])


def _is_spelling(before: str, behind: str) -> bool:
    """Judge by the few characters before and behind the stop, however long the text is."""
    word = _short_word(before)
    if word is None:
        return _ends_in_german_day(before) and _GERMAN_MONTH.match(behind) is not None
    if len(word) == 1:
        return word != "I"
    what_follows = _ABBREVIATIONS.get(word)
    return what_follows is not None and what_follows.match(behind) is not None


def _short_word(before: str) -> str | None:
    found = _SHORT_WORD.search(before)
    return found and found[0]


def _ends_in_german_day(before: str) -> bool:
    return _GERMAN_DAY.search(before) is not None


def best_break(text: str, most: int) -> int:
    """The best place to cut so that at most `most` characters come first: 0 < cut <= most < len(text)."""
    for pattern in _BREAKS:
        found = (match.start() for match in pattern.finditer(text, most // 4 + 1, most + 1))
        if cuts := [cut for cut in found if cut <= most]:
            return cuts[-1]
    return most


def _ends_sentence(text: str, run: re.Match[str]) -> bool:
    """Whether a run of marks ends a sentence; in `example.com` and after an abbreviation it is spelling."""
    after = text[run.end() : run.end() + 1]
    if not after or run["marks"] not in (".", ":") or run["closing"]:
        return True
    if run["marks"] == "." and is_spelling(text, run.start()):
        return False
    return after.isspace() or not after.isascii()
