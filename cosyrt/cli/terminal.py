"""What a terminal shows, drawn by rich: tables of results, and how far long work has come."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

LEAST_WIDTH = 30  # columns of a wrapped cell, however narrow the terminal
UNLIMITED_WIDTH = 10_000  # columns of a table that is not wrapped, such as one for a pipe
ASSUMED_SIZE = (120, 24)  # where there is no terminal to ask

# (what is being done, the share of all work that is done: 0 to 1, None where nobody can tell)
ShowProgress = Callable[[str, float | None], None]


def is_watched() -> bool:
    """Tell whether standard error is a terminal, where progress is worth showing."""
    return sys.stderr is not None and sys.stderr.isatty()


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, wrapped: bool = False) -> str:
    """Draw aligned columns; `wrapped` breaks the last one at the edge of the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(head), header_style="")
    for title in head[:-1]:
        grid.add_column(Text(title), no_wrap=True)
    grid.add_column(Text(head[-1]), no_wrap=not wrapped, min_width=LEAST_WIDTH if wrapped else None)
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row))
    width = shutil.get_terminal_size(ASSUMED_SIZE).columns if wrapped else UNLIMITED_WIDTH
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as drawn:
        console.print(grid)
    return "\n".join(line.rstrip() for line in drawn.get().splitlines())


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
