"""Which work comes next, and who is let in: arithmetic on seconds, without tensors, threads or a clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class MovingAverage:
    """A mean that forgets: each new value counts for a fixed part of it."""

    value: float
    weight: float = 0.1  # of a new value

    def add(self, value: float) -> None:
        """Take a new value in."""
        self.value += self.weight * (value - self.value)
