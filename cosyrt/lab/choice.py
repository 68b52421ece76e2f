"""Which candidates make the plan: arithmetic on the results of single trials and of the plan as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from cosyrt.accel.contract import Part
from cosyrt.lab.parity import ORDER
from cosyrt.lab.trial import Shares, TrialResult

TOO_LONG = "it took too long"


def promise(row: TrialResult, rows: list[TrialResult], shared: Shares) -> float:
    """Share of an utterance's time that a candidate should save, by the book, beyond the best so far."""
    part = cast(Part, row.part)
    found = max(
        (1 - 1 / each.gain for each in rows if each.part == part and each.verdict == "faster"), default=0.0
    )
    return 1 - 1 / row.predicted - shared.share(part) * found


def best_of(rows: list[TrialResult], part: Part) -> TrialResult | None:
    """Choose the candidate that makes a part cheapest; of two within the noise, the more exact."""
    faster = [row for row in rows if row.part == part and row.verdict == "faster"]
    if not faster:
        return None
    top = max(faster, key=lambda row: row.gain)
    assert top.timed is not None
    near = [row for row in faster if row.gain * top.timed.floor >= top.gain]
    return min(near, key=lambda row: (ORDER.index(row.precision), -row.gain))


def found_parts(rows: Iterable[TrialResult]) -> set[Part]:
    """Parts for which something faster was found."""
    return {cast(Part, row.part) for row in rows if row.verdict == "faster"}


def saved_share(part: Part, row: TrialResult, shared: Shares) -> float:
    """Share of an utterance's time that a part saves."""
    return shared.share(part) * (1 - 1 / row.gain)


def proven_parts(
    best: dict[Part, TrialResult], whole: TrialResult | None, shared: Shares
) -> dict[Part, TrialResult]:
    """The parts of the plan: all that won together, else the one that saves most, proven by its own trial.

    One part alone is dropped where the whole utterance was timed with it and did not become faster.
    """
    if not best or whole is None or whole.verdict == "chosen":
        return best
    untimed = whole.verdict == "not tried" or whole.why == TOO_LONG
    if len(best) == 1 and not untimed:
        return {}
    part = max(best, key=lambda part: saved_share(part, best[part], shared))
    return {part: best[part]}


def speedup_of(proven: dict[Part, TrialResult], whole: TrialResult | None, shared: Shares) -> float:
    """How many times as fast an utterance is: as timed, else by the share of the part that is faster."""
    if whole is not None and whole.verdict == "chosen" and whole.timed is not None:
        return whole.timed.speedup.median
    return 1 / (1 - sum(saved_share(part, row, shared) for part, row in proven.items()))


def with_rank(
    row: TrialResult, best: dict[Part, TrialResult], proven: dict[Part, TrialResult]
) -> TrialResult:
    """Mark a faster candidate as chosen, or say why it is not."""
    if row.verdict != "faster":
        return row
    part = cast(Part, row.part)
    first = best[part]
    if first.candidate != row.candidate:
        reason = "as fast and more exact" if first.gain <= row.gain else "faster still"
        return replace(row, why=f"{first.candidate} is {reason}")
    if part in proven:
        return replace(row, verdict="chosen")
    return replace(row, why="the plan as a whole did not win, and another part saves more")
