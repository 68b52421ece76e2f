"""What a terminal shows: tables."""

from __future__ import annotations

import pytest

from cosyrt.cli.terminal import table


def test_columns_are_as_wide_as_their_cells() -> None:
    """Numbers get three digits, None is empty, and lines do not end in blanks."""
    rows = [("one", 1.23456, None), ("eleven", 12_345.6, "x")]

    assert table(("name", "n", ""), rows).splitlines() == ["name    n", "one     1.23", "eleven  12346  x"]


def test_columns_of_hanzi_are_as_wide_as_they_are_shown() -> None:
    """A hanzi takes the room of two letters, an accent that is a character of its own none."""
    rows = [("中文女", "zh"), ("Zoe\u0308", "fr"), ("tom", "en")]

    assert table(("name", "in"), rows).splitlines() == [
        "name    in",
        "中文女  zh",
        "Zoe\u0308     fr",
        "tom     en",
    ]


def test_the_last_column_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than the terminal goes on below itself."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = table(("a", "why"), [("b", "word " * 12)], wrapped=True).splitlines()

    assert lines[1] == "b  " + "word " * 6 + "word"
    assert lines[2] == "   " + "word " * 4 + "word"
