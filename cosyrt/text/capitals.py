"""Which words in capitals are said letter by letter, though the dictionary has a word of that spelling.

Their neighbours tell: in `TELL US.` everything is in capitals, in `The US team` only the abbreviation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cosyrt.text.mandarin import HANZI

# Those of the dictionary's words that are more often abbreviations when they alone are in capitals.
_ABBREVIATIONS = frozenset(
    "AD AI AM AR CO COO CT EM ER EST ET EV ID IT LA LAX LED MC MS NGO OS OT PA TA UN UPS US VAT WHO".split()
)
# Words after which a capital A is a letter.
_BEFORE_LETTERS = frozenset(
    "an answer appendix block category class exhibit gate grade group hall hepatitis letter level option "
    "part plan point question row section series side step team the tier type vitamin".split()
)
ENGLISH_WORD = "[A-Za-z']*[A-Za-z][A-Za-z']*"
_TOKEN = re.compile(rf"{ENGLISH_WORD}|[,.?!\"“”«»„/]|[{HANZI}]")
_HANZI = re.compile(f"[{HANZI}]")
_NEXT_WORD = re.compile(" ([A-Za-z])")


def spelled_words(text: str) -> frozenset[int]:
    """Where in the text words begin that are said letter by letter."""
    matches = list(_TOKEN.finditer(text))
    tokens = [match[0].strip("'") for match in matches]
    chinese = _HANZI.search(text) is not None
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
    """A capital A before another word is the letter after `vitamin` and the like, elsewhere the article."""
    following = _NEXT_WORD.match(text, end)
    if following is None:
        return False
    return before.lower() not in _BEFORE_LETTERS or following[1].isupper()
