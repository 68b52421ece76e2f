"""Rules that put written forms into words: a pattern and what is said instead, tried in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Spoken = str | Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Spoken]

# A number with points between its groups of three and a comma before its fraction: nothing else looks so.
EUROPEAN = r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d.,]?\d)"


def rules(*written: tuple[str, Spoken]) -> tuple[Rule, ...]:
    """Compile patterns with what is said instead."""
    return tuple((re.compile(pattern), spoken) for pattern, spoken in written)


def plain_number(found: re.Match[str]) -> str:
    """A European number as it is written in English and Chinese."""
    return found[0].replace(".", "").replace(",", ".")


def apply(given: Sequence[Rule], text: str) -> str:
    """Apply every rule to a text in turn."""
    for pattern, spoken in given:
        text = pattern.sub(spoken, text)
    return text


def any_of(words: Sequence[str] | str) -> str:
    """A pattern for any of these words, longest first; a string is split at its blanks."""
    listed = words.split() if isinstance(words, str) else words
    return "(?:" + "|".join(map(re.escape, sorted(listed, key=len, reverse=True))) + ")"
