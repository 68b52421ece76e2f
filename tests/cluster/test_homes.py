"""Every voice has two replicas of its own, and keeps them as far as it can."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cosyrt.cluster.homes import HOMES, homes

NAMES = st.lists(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=1, max_size=8, unique=True)


@given(NAMES, st.text(max_size=32), st.randoms())
def test_everybody_finds_the_same(names: list[str], voice: str, random: object) -> None:
    """The order in which replicas are listed does not matter."""
    shuffled = sorted(names, reverse=True)
    found = homes(voice, names)

    assert found == homes(voice, shuffled)
    assert len(found) == min(HOMES, len(names)) and set(found) <= set(names)


@given(NAMES, st.text(max_size=32), st.text("xyz", min_size=4, max_size=4))
def test_others_that_come_move_few(names: list[str], voice: str, comer: str) -> None:
    """A new replica may become a home, but no other replica does because of it."""
    assert set(homes(voice, [*names, comer])) <= {*homes(voice, names), comer}


def test_voices_are_spread() -> None:
    """Each replica gets about its share of many voices."""
    counts = Counter(name for number in range(1000) for name in homes(f"voice {number}", "abcdef"))

    assert all(250 < counts[name] < 420 for name in "abcdef")
