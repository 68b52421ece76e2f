"""What one score found: figures for people, and whatever should not have been."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

Tell = Callable[[str], None]  # of progress, one line
LONGEST_S = 240.0  # of a score: on a machine that is slow or busy it does less, and says how much


@dataclass(slots=True)
class Score:
    """The outcome of one score: it holds if there were no surprises."""

    name: str  # S5
    title: str
    figures: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def rounds(self, count: int, share: float = 1.0) -> Iterator[int]:
        """Numbers of so many repetitions, at least one, fewer where that share of a score's time is over."""
        for number in range(count):
            if number and time.monotonic() - self.began > share * LONGEST_S:
                return
            yield number

    def expect(self, holds: object, otherwise: str) -> None:
        """Note a surprise unless something holds."""
        if not holds:
            self.surprises.append(otherwise)

    def expect_all(self, holds: Iterable[bool], otherwise: str) -> None:
        """Note one surprise, with their number, if some do not hold."""
        each = list(holds)
        self.expect(all(each), f"{otherwise}: {each.count(False)} of {len(each)}")


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed; of no values, not a number."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def ms(seconds: float) -> str:
    """A time, in milliseconds, as tables show it."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
