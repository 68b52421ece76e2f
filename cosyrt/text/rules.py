"""Rules that put written forms into words: a pattern and what is said instead, tried in a fixed order.

There are some five hundred, and a sentence has a use for few. A rule may name the characters of which a text
must have one, lest the pattern cannot match. It is compiled when such a text comes, and passed over else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property

Spoken = str | Callable[[re.Match[str]], str]
Written = tuple[str, Spoken] | tuple[str, Spoken, str]  # pattern, what is said instead, characters it needs

ANY_DIGIT = "0"  # among the characters that a rule needs it stands for every decimal digit
# A number with points between its groups of three and a comma before its fraction: nothing else looks so.
EUROPEAN = r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d.,]?\d)"


class Rule:
    """A pattern and what is said instead of what it matches."""

    def __init__(self, pattern: str, spoken: Spoken, needs: str = "") -> None:
        self.pattern, self.spoken, self.needs = pattern, spoken, frozenset(needs)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def sub(self, text: str) -> str:
        """Put what is said in the place of each match; a text without one is returned as the object it is."""
        return self._compiled.sub(self.spoken, text)


def rules(*written: Written) -> tuple[Rule, ...]:
    """Make rules of patterns, what is said instead, and the characters of which each needs one."""
    return tuple(Rule(*each) for each in written)


def plain_number(found: re.Match[str]) -> str:
    """A European number as it is written in English and Chinese."""
    return found[0].replace(".", "").replace(",", ".")


def apply(given: Sequence[Rule], text: str) -> str:
    """Apply every rule to a text in turn."""
    there = _characters(text)
    for rule in given:
        if rule.needs and rule.needs.isdisjoint(there):
            continue
        spoken = rule.sub(text)
        if spoken is not text:
            text, there = spoken, _characters(spoken)
    return text


def _characters(text: str) -> frozenset[str]:
    there = frozenset(text)
    return there | {ANY_DIGIT} if any(map(str.isdecimal, there)) else there


def any_of(words: Sequence[str] | str) -> str:
    """A pattern for any of these words, longest first; a string is split at its blanks."""
    listed = words.split() if isinstance(words, str) else words
    return "(?:" + "|".join(map(re.escape, sorted(listed, key=len, reverse=True))) + ")"
