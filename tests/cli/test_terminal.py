"""What a terminal shows: tables."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

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


WIDE = ("part", "way", "predicted", "as fast", "first call", "memory", "check", "result", "why")
WIDE_ROWS = [
    (
        "llm",
        "openvino",
        "3.42×",
        "3.40 [3.31, 3.47]",
        "+12.35 s",
        "1.6 GB",
        "passed",
        "chosen",
        "the fastest",
    ),
    (
        "llm",
        "inductor",
        "1.10×",
        "",
        "",
        "",
        "failed",
        "not tried",
        "the compiler of this machine is 4.2 " * 4,
    ),
    ("声码器", "half", "1.00×", "", "", "", "", "not tried", ""),
]


def words_of(cells: list[tuple[str, ...]]) -> list[str]:
    return " ".join(" ".join(row) for row in cells).split()


@pytest.mark.parametrize("columns", [200, 120, 80, 40])
@pytest.mark.parametrize("wrapped", [True, False])
def test_no_cell_is_cut(monkeypatch: pytest.MonkeyPatch, columns: int, wrapped: bool) -> None:
    """At any width every word is there, in the order of its row, and no line is longer than the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    drawn = table(WIDE, WIDE_ROWS, wrapped=wrapped)

    written, found = words_of(WIDE_ROWS), iter(drawn.split())
    assert all(word in found for word in written), drawn
    assert max(map(cell_len, drawn.splitlines())) <= columns


def test_the_last_column_stands_below_where_no_room_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fewer than thirty columns are left of the line, and only under rows that have one."""
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("one", "a" * 20, "because it is slow"), ("two", "b", "")]

    assert table(("n", "way", "why"), rows, wrapped=True).splitlines() == [
        "n    way",
        "one  aaaaaaaaaaaaaaaaaaaa",
        "    why: because it is slow",
        "two  b",
    ]


def test_a_row_wider_than_the_terminal_is_one_line_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first cell names the row; cells that are empty are left out."""
    monkeypatch.setenv("COLUMNS", "20")

    assert table(
        ("way", "RTF", "peak MB"), [("openvino" * 2, 1.5, 900), ("half", None, 450)]
    ).splitlines() == [
        "openvinoopenvino",
        "    RTF: 1.5",
        "    peak MB: 900",
        "half",
        "    peak MB: 450",
    ]
