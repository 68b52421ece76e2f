"""Numbers of English text that are no date, sum, measure or code: signed, ranges, fractions, ordinals, rest."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.en.units import PER
from cosyrt.text.rules import any_of, rules

_N = numbers.NUMBER
_SIGNS = {"-": "negative ", "−": "minus ", "+": "plus ", "±": "plus or minus ", "": ""}
_LARGE = {
    "k": "thousand",
    "K": "thousand",
    "M": "million",
    "B": "billion",
    "bn": "billion",
    "mn": "million",
    "T": "trillion",
}
_FRACTIONS = {
    "½": "one half", "¼": "one quarter", "¾": "three quarters", "⅓": "one third", "⅔": "two thirds",
    "⅛": "one eighth", "⅜": "three eighths", "⅝": "five eighths", "⅞": "seven eighths", "⅕": "one fifth",
    "⅖": "two fifths", "⅗": "three fifths", "⅘": "four fifths", "⅙": "one sixth", "⅚": "five sixths",
}  # fmt: skip
_RULERS = any_of(
    "Louis Henry George Charles Edward Richard James William Elizabeth Mary Philip Paul Benedict "
    "Pius Leo Napoleon "
    "Catherine Peter Frederick Alexander Ivan Nicholas Ramses Rameses Ramesses Ptolemy Otto "
    "Ferdinand Leopold Wilhelm "
    "Emmanuel Gregory Clement Innocent Urban Boniface Harald Haakon Olav Gustav Gustaf Christian "
    "Carl Carlos Felipe "
    "Xerxes Darius Mehmed Selim Murad Suleiman Francis Franz Friedrich Joseph John Margaret "
    "Margrethe  Robert "
    "David Stephen Baldwin Amenhotep Thutmose Justinian Constantine Theodosius Antiochus Cleopatra "
    "Artaxerxes Sixtus "
    "Julius Adrian Celestine Alfonso Sancho Pedro Manuel Juan Isabella Victoria Albert Rainier "
    "Vittorio Umberto Rama "
    "Faisal Abdullah Hussein Mohammed Hassan Akihito Sigismund Casimir Ladislaus Boris Michael Carol"
)
_DIVISIONS = any_of(
    "Chapter Part Act Scene Book Volume War Section Article Type Phase Stage Level Class Title Bowl "
    "Appendix Figure "
    "Table Schedule Unit Step Grade Division Group Category Round Season Episode Lesson Module "
    "Canto Mark Rocky Fantasy "
    "Tier chapter part act scene book volume section article type phase stage level class title "
    "appendix figure table "
    "schedule unit step grade division group category round season episode lesson module"
)
_AFTER_FIRST = r"(?=['’]s\b|[.,;)]|$| (?:was|is|of|and|ruled|died|reigned|became|had|the|who|in|came|married|abdicated)\b)"
_LETTER_OR_DIGIT = re.compile(r"\d+(?:\.\d+)?|[A-Za-z]+")


def _range(found: re.Match[str]) -> str:
    return f"{numbers.number(found[1])} to {numbers.number(found[2])}"


def _percent(found: re.Match[str]) -> str:
    return (
        f"{_SIGNS[found[1] or '']}{numbers.number(found[2])} {'per mille' if found[3] == '‰' else 'percent'}"
    )


def _scientific(found: re.Match[str]) -> str:
    sign = {"-": "negative ", "−": "minus "}.get(found[2], "")
    return f"{numbers.number(found[1])} times ten to the power of {sign}{numbers.number(found[3].lstrip('0') or '0')}"


def _large(found: re.Match[str]) -> str:
    per = f" per {PER.get(found[3], found[3])}" if found[3] else ""
    return f"{numbers.number(found[1])} {_LARGE[found[2]]}{per}"


def _fraction(found: re.Match[str]) -> str:
    above, below = int(found[1]), int(found[2])
    if below == 2:
        return "one half" if above == 1 else f"{numbers.cardinal(above)} halves"
    name = "quarter" if below == 4 else numbers.ordinal(below)
    return f"{numbers.cardinal(above)} {name}{'' if above == 1 else 's'}"


def _mixed(found: re.Match[str]) -> str:
    whole, above, below = found.groups()
    if (above, below) == ("1", "2"):
        return f"{numbers.number(whole)} and a half"
    part = re.sub(r"(\d+)/(\d+)", _fraction, f"{above}/{below}")
    return f"{numbers.number(whole)} and {part}"


def _out_of(found: re.Match[str]) -> str:
    return f"{found[1]}{numbers.number(found[2])} out of {numbers.number(found[3])}"


def _over(found: re.Match[str]) -> str:
    return f"{numbers.number(found[1])} over {numbers.number(found[2])}"


def _compound(found: re.Match[str]) -> str:
    """Letters and digits in one word, such as `MP3`, `PM2.5`, `A380`: each run by itself."""
    return " ".join(_run(run, found[0]) for run in _LETTER_OR_DIGIT.findall(found[0]))


def _run(run: str, word: str) -> str:
    if not run[0].isdecimal():
        return run
    glued = len(run) > 2 and run.isdecimal() and not run.endswith("00")
    return numbers.digits(run) if glued else numbers.number(run)


def _roman_ordinal(found: re.Match[str]) -> str:
    return f"{found[1]} the {numbers.ordinal(numbers.roman(found[2]))}"


def _roman_cardinal(found: re.Match[str]) -> str:
    return f"{found[1]} {numbers.cardinal(numbers.roman(found[2]))}"


def _signed(found: re.Match[str]) -> str:
    return f"{_SIGNS[found[1]]}{numbers.number(found[2])}"


def _resolution(found: re.Match[str]) -> str:
    hundreds, rest = divmod(int(found[1]), 100)
    return f"{numbers.cardinal(hundreds)} {numbers.below_hundred(rest) if rest else 'hundred'} {found[2]}"


def _power(found: re.Match[str]) -> str:
    sign = "negative " if found[2] else ""
    return f"{numbers.number(found[1])} to the power of {sign}{numbers.number(found[3])}"


def _apart(found: re.Match[str]) -> str:
    """Put blanks around a number in words where letters stand beside it."""
    text, start, end = found.string, found.start(), found.end()
    before = " " if start and (text[start - 1].isalpha() or text[start - 1] == "_") else ""
    after = " " if text[end : end + 1].isalpha() or text[end : end + 1] == "_" else ""
    return before + numbers.number(found[1]) + after


# Before measures, whose number would be the exponent.
_EXPONENTS = {"2": "squared", "3": "cubed"}
POWERS = rules(
    (
        r"(?<=[A-Za-z)])\^\{?(\d{1,3}|[a-z])\}?",
        lambda f: " " + (_EXPONENTS.get(f[1]) or f"to the power of {f[1]}"),
        "^",
    ),
    (rf"(?<![\w.,])({_N})(?:\^|\*\*)\{{?([-−]?)(\d+)\}}?", _power, "*^"),
)
QUANTITIES = rules(
    # Roman numerals.
    (rf"\b({_RULERS}) ({numbers.ROMAN}|V|X)\b(?!\.?\w)", _roman_ordinal, "ILVX"),
    (rf"\b({_RULERS}) (I)\b{_AFTER_FIRST}", _roman_ordinal, "I"),
    (
        rf"\b({_DIVISIONS}) ({numbers.ROMAN}|[IVX])\b(?!['’]\w)(?! (?:am|was|think|have|will|do|did|like|read)\b)",
        _roman_cardinal,
        "ILVX",
    ),
    (
        rf"\b({numbers.ROMAN}|[VX])(?:th|st|nd|rd)?(?= [Cc]entur)",
        lambda f: numbers.ordinal(numbers.roman(f[1])),
        "ILVX u",
    ),
    (
        r"\b(?!The |An? |This |That |And |Or )([A-Z][a-z]+) (II|III|VII|VIII|IX|XI|XII|XIII|XIV|XV|XVI|XVII|XVIII|XIX|XX|XXI|XXII|IV|VI)\b(?!['’.]\w)",
        _roman_cardinal,
        "IVX",
    ),
    # Sums, differences and quotients that are worked out.
    (rf"(?<![\w.,])({_N}) ?[-−] ?(?={_N} ?=)", lambda f: numbers.number(f[1]) + " minus ", "= −-"),
    (rf"(?<![\w.,])({_N}) ?/ ?(?={_N} ?=)", lambda f: numbers.number(f[1]) + " divided by ", "/ ="),
    (rf"(?<![\w.,])({_N})\+(?![\w+])(?! ?\d)", lambda f: numbers.number(f[1]) + " plus", "+"),
    # Fractions.
    (
        rf"(?<![\w./])({_N}) ?(?:and )?([½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚])",
        lambda f: f"{numbers.number(f[1])} and {_FRACTIONS[f[2]].replace('one half', 'a half')}",
        "0",
    ),
    (r"[½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚]", lambda f: _FRACTIONS[f[0]]),
    (r"(?<![\d/])24/7(?![\d/])", "twenty four seven", "/"),
    (r"(?<![\d/])9/11(?![\d/])", "nine eleven", "/"),
    (r"(?<![\d/-])50[/-]50(?![\d/-])", "fifty fifty", "-/"),
    (
        r"((?:scored?|rated?|got|rating|marks?|grade|rate|gave it|give it|a solid)(?: (?:it|of|is|a|an))? )(\d+(?:\.\d+)?)/(\d+)(?![\w/])",
        _out_of,
        "/",
    ),
    (r"(?<![\w./,$-])(\d+)[ -](\d{1,2})/(\d{1,3})(?![\w/]|\.\d)", _mixed, "/"),
    (r"(?<![\w./,])([1-9]\d?)/([2-9]|[1-9]\d|100)(?![\w/]|\.\d)", _fraction, "/"),
    (rf"(?<![\w./])({_N})/({_N})(?![\w/])", _over, "/"),
    # Signs, ranges, shares and powers.
    (rf"(?<![\w.,])({_N})%? ?[-–—~] ?({_N}) ?(%)", lambda f: f"{_range(f)} percent", "% ~–—-"),
    (rf"(?:(?<![\w)\d])([-−+±]) ?)?(?<![\w.,])({_N}) ?([%‰])", _percent, "%‰"),
    (rf"(?<![\w.,])({_N})[eE]([-−+]?)(\d{{1,4}})(?!\w)", _scientific, "0 Ee"),
    (
        r"(?<![\w.,])(\d+\.\d+|\d{1,3}(?:,\d{3})+|\d+(?=[kM]|bn|mn)) ?(k|K|M|B|T|bn|mn)(?:/(yr|year|mo|month|wk|week|day|hr|hour))?(?![\w#]|\+\w)",
        _large,
        "0 BKMTbkm",
    ),
    (rf"(?<![\w.,-])({_N})(?: ?[–—~] ?|-| - (?=\d+ [a-z]))({_N})(?![\w-]|\.\d)", _range, "-~–—"),
    (r"(?<![\w.])(\d{3,4})([pi])\b", _resolution, "0 ip"),
    (rf"(?<![\w.,])({_N}) ?[xX](?![\w])(?! ?[-+=*/])", lambda f: numbers.number(f[1]) + " times", "0 Xx"),
    (rf"(?<![\w.,:])({_N}):({_N})(?![\w:]|\.\d)", _range, ":"),
    (r"(?<!\w)#(?=\d)", "number ", "#"),
    (r"(?<=\d(?:st|nd|rd|th)) ?[-–—~] ?(?=\d+(?:st|nd|rd|th)\b)", " to ", "~–—- dhs"),
    (
        r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)(?:(-)(?=[A-Za-z])|(?![A-Za-z]))",
        lambda f: numbers.ordinal(f[1].replace(",", "")) + (" " if f[2] else ""),
        "0",
    ),
    (rf"(?<![\w)\]])([-−+±])({_N})(?![\w])", _signed, "+-±−"),
    (rf"(?<![\w)\]] )(?<![\w)\]])([−±]) ({_N})(?![\w])", _signed, "±− ,0"),
    (r"\b([ACDFG])#(?!\w)", r"\1 sharp", "# ACDFG"),
    (r"\b([A-Za-z])\+\+", r"\1 plus plus", "+"),
    (r"(?<![\w.,])\d+\.\d+(?=[A-Za-z])", lambda f: numbers.number(f[0]) + " ", "0 ."),
    # One word of letters and digits; then whatever number is left.
    (r"(?<![\w.])[A-Z]\.\d{2,4}(?![\w.]\w)", lambda f: f"{f[0][0]} {numbers.digits(f[0][2:])}", "0 ."),
    (r"(?<![\w])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]+(?:\.\d+)?(?!\w)", _compound, "0"),
    (rf"(?<![\d.,])({_N})", _apart, "0"),
    (r"\d+", lambda f: f" {numbers.number(f[0])} ", "0"),
)
