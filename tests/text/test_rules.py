"""Tables of rules."""

from __future__ import annotations

import re

from cosyrt.text.rules import any_of, apply, rules


def test_rules_are_tried_in_their_order() -> None:
    """What one rule has put into words the next one sees."""
    given = rules((r"\d+", lambda found: f"<{found[0]}>"), (r"<1>", "one"))
    assert apply(given, "1 2") == "one <2>"


def test_any_of_takes_the_longest() -> None:
    """The longer of two words that begin alike is found, and signs are no pattern."""
    assert (
        re.match(any_of("k km k.m"), "km") == re.match("km", "km")
        or re.match(any_of("k km"), "km")[0] == "km"
    )
    assert re.fullmatch(any_of("k.m"), "kxm") is None
