"""The order in which the rules for English are tried: what is sure and long before what is short."""

from __future__ import annotations

import re

from cosyrt.text.elements import GREEK_LETTER, greek
from cosyrt.text.en.codes import CODES
from cosyrt.text.en.context import CONTEXT
from cosyrt.text.en.dates import DATES
from cosyrt.text.en.measures import MEASURES
from cosyrt.text.en.money import MONEY
from cosyrt.text.en.quantities import POWERS, QUANTITIES
from cosyrt.text.en.references import REFERENCES
from cosyrt.text.en.words import ABBREVIATIONS, SIGNS, SYMBOLS
from cosyrt.text.rules import Rules, rules

# A letter alone is apart from what stands beside it: `ΔT` is delta T.
_GREEK = rules((GREEK_LETTER, lambda f: f" {greek(f[0], chinese=False)} "))
_WITH_DIGITS = Rules(*REFERENCES, *CODES, *DATES, *MONEY, *POWERS, *MEASURES, *QUANTITIES)
_NEEDS_RULES = re.compile(r"[^A-Za-z ,!?'\"’“”;:-]")
_DIGIT_OR_ROMAN = re.compile(r"[\d½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚@#+/]|[IVX]\b")


def in_words(text: str) -> str:
    """An English sentence with every number, sign and abbreviation in words."""
    if not _NEEDS_RULES.search(text) and not _DIGIT_OR_ROMAN.search(text):
        return text
    text = ABBREVIATIONS.apply(CONTEXT.apply(text))
    if _DIGIT_OR_ROMAN.search(text) or "." in text or "\\" in text:
        text = _WITH_DIGITS.apply(text)
    text = SYMBOLS.apply(_GREEK.apply(SIGNS.apply(text)))
    return re.sub(r"  +", " ", text)
