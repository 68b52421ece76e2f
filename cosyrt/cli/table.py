"""Tables on the terminal: columns as wide as what is in them, and the last one wrapped."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from textwrap import wrap

LEAST_WIDTH = 30  # of the last column, however narrow the terminal


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, wrapped: bool = False) -> str:
    """Aligned columns; `wrapped` breaks the last one where the terminal ends."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(_columns(row[column]) for row in cells) for column in range(len(head))]
    if wrapped:
        before = sum(widths[:-1]) + 2 * (len(head) - 1)
        widths[-1] = max(LEAST_WIDTH, shutil.get_terminal_size((120, 24)).columns - before)
    return "\n".join(line for row in cells for line in _lines(row, widths))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) and value < 1000 else _plain(value)


def _plain(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _lines(row: list[str], widths: list[int]) -> list[str]:
    """One line, and more where the last cell is longer than its column."""
    parts = wrap(row[-1], widths[-1]) or [""]
    first = [*row[:-1], parts[0]]
    padded = (cell + " " * (width - _columns(cell)) for cell, width in zip(first, widths, strict=True))
    line = "  ".join(padded).rstrip()
    indent = " " * (sum(widths[:-1]) + 2 * (len(row) - 1))
    return [line, *(indent + part for part in parts[1:])]


def _columns(text: str) -> int:
    """How wide a terminal shows it: a hanzi takes two columns, an accent on its own none."""
    shown = (letter for letter in text if unicodedata.category(letter) not in ("Mn", "Me", "Cf"))
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in shown)
