"""The table of `docs/reliability.md`: one row a score, replaced when the score is run again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scores.score import Score

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- scores -->\n", "<!-- end of scores -->"
HEAD = "| score | found | surprises | measured |\n|---|---|---|---|\n"
_ROW = re.compile(r"\| (S\d+) .*\n")


def rows_of(scores: Sequence[Score], when: str) -> dict[str, str]:
    """Rows of the table, by the name of their score."""
    return {
        score.name: f"| {score.name} {score.title} | {'; '.join(score.figures)} | "
        f"{'; '.join(score.surprises) or 'none'} | {when}, {score.seconds:.0f} s |\n"
        for score in scores
    }


def updated(text: str, rows: dict[str, str]) -> str:
    """The page with these rows in its table, in place of older ones of the same scores.

    Raises:
        ValueError: the page has no place for the table.
    """
    before, mark, rest = text.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"there is no place for the table; put {BEGIN.strip()} and {END} into the page")
    known = {found[1]: found[0] for found in _ROW.finditer(table)}
    ordered = sorted((known | rows).items(), key=lambda each: int(each[0][1:]))
    return before + mark + HEAD + "".join(row for _, row in ordered) + end + after


def write(scores: Sequence[Score], when: str, page: Path = PAGE) -> None:
    """Put what was found into the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(updated(text, rows_of(scores, when)), encoding="utf-8")
