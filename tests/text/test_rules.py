"""Tables of rules."""

from __future__ import annotations

import re
import re._constants as sre
import re._parser
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.text.en import reading as en
from cosyrt.text.rules import ANY_DIGIT, Rule, Rules, any_of, rules
from cosyrt.text.zh import reading as zh

TABLES = {
    f"{language.__name__.split('.')[-2]} {name}": table
    for language in (en, zh)
    for name, table in vars(language).items()
    if isinstance(table, Rules)
}
# What changes by case alone, and the letters beyond a-z that re takes for one of them.
CASES = {"s": "ſ", "k": "\N{KELVIN SIGN}", "i": "ıİ"}
REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
SIGNS = st.text("0123456789 ABCDefgkmst.,:;-–/%$€£°²½#@&+*=<>()[]'\"年月日元点第两分之到", max_size=40)


def has_its_characters(rule: Rule) -> bool:
    """Whether each text that a rule matches has one of each group of characters that it needs."""
    parsed = re._parser.parse(rule.pattern)
    return all(has_one(parsed, group, bool(parsed.state.flags & re.I)) for group in rule.needs)


def has_one(items: Iterable[Any], of: frozenset[str], ignores_case: bool = False) -> bool:
    """Whether a text that a parsed pattern matches has one of these characters for certain."""
    return any(
        ((characters := listed(kind, value)) is not None and cased(characters, ignores_case) <= of)
        or (kind is sre.SUBPATTERN and has_one(value[3], of, changed(ignores_case, *value[1:3])))
        or (kind in REPEATS and value[0] > 0 and has_one(value[2], of, ignores_case))
        or (kind is sre.BRANCH and all(has_one(branch, of, ignores_case) for branch in value[1]))
        or (kind is sre.ATOMIC_GROUP and has_one(value, of, ignores_case))
        or (kind is sre.ASSERT and has_one(value[1], of, ignores_case))
        for kind, value in items
    )


def changed(ignores_case: bool, added: int, taken: int) -> bool:
    return (ignores_case or bool(added & re.I)) and not taken & re.I


def listed(kind: Any, value: Any) -> set[str] | None:
    """Characters of a literal or a class; None for anything else, or where there are too many to list."""
    if kind is sre.LITERAL:
        return {character(value)}
    if (kind, value) == (sre.CATEGORY, sre.CATEGORY_DIGIT):
        return {ANY_DIGIT}
    if kind is sre.RANGE and value[1] - value[0] <= 300:
        return {character(each) for each in range(value[0], value[1] + 1)}
    if kind is not sre.IN:
        return None
    parts = [listed(*each) for each in value]
    return None if None in parts else set().union(*parts)


def character(code: int) -> str:
    return ANY_DIGIT if chr(code).isdecimal() else chr(code)


def cased(characters: set[str], ignores_case: bool) -> set[str]:
    if not ignores_case:
        return characters
    both = {form for each in characters for form in (each.lower(), each.upper()) if len(form) == 1}
    return both.union(*(CASES.get(each, "") for each in both))


@pytest.mark.parametrize("name", TABLES)
def test_no_text_that_a_rule_could_change_is_passed_over(name: str) -> None:
    """The characters that a rule asks for are among those without which its pattern cannot match."""
    wrong = [rule.pattern for rule in TABLES[name] if not has_its_characters(rule)]

    assert wrong == []


@given(SIGNS)
def test_rules_that_are_passed_over_would_change_nothing(text: str) -> None:
    """Every table gives what it gives when each of its rules is tried."""
    for table in TABLES.values():
        slow = text
        for rule in table:
            slow = rule.sub(slow)
        assert table.apply(text) == slow


def test_rules_are_tried_in_their_order() -> None:
    """What one rule has put into words the next one sees."""
    table = rules((r"\d+", lambda found: f"<{found[0]}>"), (r"<1>", "one"))
    assert table.apply("1 2") == "one <2>"


def test_any_of_takes_the_longest() -> None:
    """The longer of two words that begin alike is found, and signs are no pattern."""
    assert (
        re.match(any_of("k km k.m"), "km") == re.match("km", "km")
        or re.match(any_of("k km"), "km")[0] == "km"
    )
    assert re.fullmatch(any_of("k.m"), "kxm") is None
