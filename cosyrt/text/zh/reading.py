"""The order in which the rules for Chinese are tried: what is sure and long before what is short."""

from __future__ import annotations

import re

from cosyrt.text.elements import GREEK_LETTER, greek
from cosyrt.text.rules import Rules, rules
from cosyrt.text.scripts import HAN
from cosyrt.text.zh.codes import CODES
from cosyrt.text.zh.context import BRACKETS, CONTEXT
from cosyrt.text.zh.dates import DATES
from cosyrt.text.zh.measures import MEASURES
from cosyrt.text.zh.money import MONEY
from cosyrt.text.zh.quantities import POWERS, QUANTITIES
from cosyrt.text.zh.scores import SCORES
from cosyrt.text.zh.words import SIGNS, TITLES

_GREEK = rules((GREEK_LETTER, lambda f: greek(f[0], chinese=True)))
_WITH_DIGITS = Rules(*CODES, *BRACKETS, *SCORES, *DATES, *MONEY, *POWERS, *MEASURES, *QUANTITIES)
_DIGIT = re.compile(r"[\d½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘@/⁰¹²³⁴-⁹⁺⁻\\&]")
_NEEDS_RULES = re.compile(rf"[^{HAN}，。！？；：、“”‘’（）《》…— ]")


def in_words(text: str) -> str:
    """A Chinese sentence with every number and sign in words."""
    if not _NEEDS_RULES.search(text):
        return text
    text = TITLES.apply(CONTEXT.apply(text))
    if _DIGIT.search(text):
        text = _WITH_DIGITS.apply(text)
    return SIGNS.apply(_GREEK.apply(text))
