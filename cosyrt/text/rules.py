"""Rules that put written forms into words: a pattern and what is said instead, tried in a fixed order.

There are some five hundred, and a sentence has a use for few. A rule may name the characters of which a text
must have one, lest the pattern cannot match. It is compiled when such a text comes, and passed over else.
Which rules a text has a use for depends on those characters alone, so it is found once for each set of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache

Spoken = str | Callable[[re.Match[str]], str]
# A pattern, what is said instead, and the characters it needs: one of each group, with blanks between groups.
Written = tuple[str, Spoken] | tuple[str, Spoken, str]

MOST_SETS = 256  # of characters, for which the useful rules are kept
ANY_DIGIT = "0"  # among the characters that a rule needs it stands for every decimal digit
# A number with points between its groups of three and a comma before its fraction: nothing else looks so.
EUROPEAN = r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d.,]?\d)"


class Rule:
    """A pattern and what is said instead of what it matches."""

    def __init__(self, pattern: str, spoken: Spoken, needs: str = "") -> None:
        self.pattern, self.spoken = pattern, spoken
        self.needs = tuple(map(frozenset, needs.split()))

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def sub(self, text: str) -> str:
        """Put what is said in the place of each match; a text without one is returned as the object it is."""
        return self._compiled.sub(self.spoken, text)

    def is_useful(self, there: frozenset[str]) -> bool:
        """Whether the pattern may match a text that has these characters."""
        return not any(map(there.isdisjoint, self.needs))


class Rules:
    """Rules in the order in which they are tried."""

    def __init__(self, *given: Rule) -> None:
        self._given = given
        self._asked_for = frozenset[str]().union(*(group for rule in given for group in rule.needs))
        self._useful = lru_cache(maxsize=MOST_SETS)(self._useful_for)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._given)

    def apply(self, text: str) -> str:
        """Apply every rule to a text in turn."""
        there, at = self._characters(text), 0
        while True:
            for number, rule in self._useful(there):
                if number < at:
                    continue
                spoken = rule.sub(text)
                if spoken is not text:
                    text, at = spoken, number + 1
                    if (now := self._characters(text)) != there:
                        there = now
                        break
            else:
                return text

    def _characters(self, text: str) -> frozenset[str]:
        """The characters of a text that rules ask for."""
        there = frozenset(text)
        digit = ANY_DIGIT in self._asked_for and any(map(str.isdecimal, there))
        return (there | {ANY_DIGIT} if digit else there) & self._asked_for

    def _useful_for(self, there: frozenset[str]) -> tuple[tuple[int, Rule], ...]:
        """The rules that may change a text with these characters, and their places in the order."""
        return tuple((at, rule) for at, rule in enumerate(self._given) if rule.is_useful(there))


def rules(*written: Written) -> Rules:
    """Make rules of patterns, what is said instead, and the characters that each needs."""
    return Rules(*(Rule(*each) for each in written))


def plain_number(found: re.Match[str]) -> str:
    """A European number as it is written in English and Chinese."""
    return found[0].replace(".", "").replace(",", ".")


def any_of(words: Sequence[str] | str) -> str:
    """A pattern for any of these words, longest first; a string is split at its blanks."""
    listed = words.split() if isinstance(words, str) else words
    return "(?:" + "|".join(map(re.escape, sorted(listed, key=len, reverse=True))) + ")"
