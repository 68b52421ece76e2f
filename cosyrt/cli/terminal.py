"""What a terminal shows, drawn by rich: tables of results, and how far long work has come."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_WIDTH = 30  # columns of a wrapped cell; where there are fewer, it stands below its row
GAP = 2  # blanks between columns
INDENT = 4  # blanks before what stands below a row
UNLIMITED_WIDTH = 10_000  # columns of a table that is not wrapped, such as one for a pipe
ASSUMED_SIZE = (120, 24)  # where there is no terminal to ask

# (what is being done, the share of all work that is done: 0 to 1, None where nobody can tell)
ShowProgress = Callable[[str, float | None], None]


def is_watched() -> bool:
    """Tell whether standard error is a terminal, where progress is worth showing."""
    return sys.stderr is not None and sys.stderr.isatty()


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, wrapped: bool = False) -> str:
    """Draw aligned columns that fit the terminal; no cell is cut.

    `wrapped` breaks the last column at the edge of the terminal, or puts it below its row where little room
    is left. Rows that are still too wide become one line a cell.
    """
    from rich.cells import cell_len

    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    room = _terminal_width(wrapped)
    others = sum(widths[:-1]) + GAP * (len(widths) - 1)
    last = min(widths[-1], LEAST_WIDTH) if wrapped else widths[-1]
    if others + last <= room or not (wrapped or any(head)):
        return "\n".join(_drawn(head, cells, room if wrapped else UNLIMITED_WIDTH, wrapped=wrapped))
    if wrapped and others - GAP <= room:
        return "\n".join(_with_last_below(head, cells, room))
    return "\n".join(line for row in cells for line in _one_line_a_cell(head, row, room))


def _terminal_width(wrapped: bool) -> int:
    assumed = ASSUMED_SIZE if wrapped else (UNLIMITED_WIDTH, ASSUMED_SIZE[1])
    return shutil.get_terminal_size(assumed).columns


def _drawn(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, wrapped: bool) -> list[str]:
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=any(head), header_style="")
    for title in head[:-1]:
        grid.add_column(Text(title), no_wrap=True)
    grid.add_column(Text(head[-1]), no_wrap=not wrapped)
    for row in rows:
        grid.add_row(*map(Text, row))
    return _lines(grid, width)


def _with_last_below(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Draw the table without its last column, whose cells stand below their rows."""
    *top, title = head
    drawn = _drawn(top, [row[:-1] for row in rows], width, wrapped=False)
    lines = drawn[: len(drawn) - len(rows)]
    for line, (*_, last) in zip(drawn[len(lines) :], rows, strict=True):
        lines.append(line)
        if last:
            lines += _indented(f"{title}: {last}" if title else last, width)
    return lines


def _one_line_a_cell(head: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    first, *others = row
    named = ((title, cell) for title, cell in zip(head[1:], others, strict=True) if cell)
    return [
        first,
        *(line for title, cell in named for line in _indented(f"{title}: {cell}" if title else cell, width)),
    ]


def _indented(text: str, width: int) -> list[str]:
    from rich.padding import Padding
    from rich.text import Text

    return _lines(Padding(Text(text), (0, 0, 0, INDENT)), max(width, 2 * INDENT))


def _lines(drawable: RenderableType, width: int) -> list[str]:
    from rich.console import Console

    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as drawn:
        console.print(drawable)
    return [line.rstrip() for line in drawn.get().splitlines()]


def _cell(value: object) -> str:
    """Write a value: numbers in three digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return str(value)


@contextmanager
def progress_bar(*, hidden: bool = False) -> Iterator[ShowProgress]:
    """Show one bar on standard error, from the first step that is told until the work ends.

    Nothing is drawn where it is `hidden`, or where standard error is not a terminal.
    """
    if hidden or not is_watched():
        yield lambda step, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(step: str, share: float | None) -> None:
            total = None if share is None else 1.0
            bar.update(task, description=step, completed=share or 0.0, total=total, visible=True)

        yield show
