"""How long trials take on this machine, from what plain speech takes on it.

A trial loads the model, builds the candidate, compares it with eager on two utterances (`parity.py`), and
times it on several lengths (`timing.py`). All of that grows with the time of plain speech: what takes a fast
machine a minute takes another an hour. So the estimate decides which lengths are spoken, and whether a trial
is begun at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cosyrt.accel.contract import PARTS, Part
from cosyrt.lab.trial import EAGER_WAYS, LEAST_PASSES, SPOKEN_TOKENS, STREAMED, Shares
from cosyrt.lab.workload import TIMED_LENGTHS, Length

LEAST_LENGTHS = 3  # that a candidate is timed on
STREAMED_COST = 2.0  # of a token that is streamed, in tokens that are not: chunks are read again
START_S = 10.0  # until a new process has imported what it needs, beside loading the model
MARGIN = 1.5  # a candidate may be slower than eager, and the machine busier than it was
FLOW = ("encode", "velocity")  # whose comparison needs the whole flow and the vocoder


def cheapest_first() -> list[Length]:
    """The lengths that candidates are timed on, beginning with those that take the least time."""
    return sorted(TIMED_LENGTHS, key=_tokens)


def _tokens(length: Length) -> float:
    """Plain tokens that cost as much as a length does."""
    return (length.speech_tokens + length.prompt_tokens) * (STREAMED_COST if length.chunked else 1.0)


@dataclass(frozen=True, slots=True)
class TrialCosts:
    """Estimates in seconds, with a margin, for a machine whose plain speech was measured."""

    shares: Shares

    def least_s(self, parts: Iterable[Part], *, whole: bool = False) -> float:
        """The shortest trial of these parts; of the `whole`, everything that an utterance needs is timed."""
        parts = set(parts)
        timed = set(PARTS) if whole else parts
        return self._fixed_s(parts) + self._timing_s(timed, cheapest_first()[:LEAST_LENGTHS])

    def lengths(self, parts: Iterable[Part], seconds: float, *, whole: bool = False) -> int:
        """How many of the lengths, the cheapest first, can be timed within so many seconds."""
        parts = set(parts)
        timed, left = set(PARTS) if whole else parts, seconds - self._fixed_s(parts)
        known = cheapest_first()
        fitting = [n for n in range(1, len(known) + 1) if self._timing_s(timed, known[:n]) <= left]
        return max([LEAST_LENGTHS, *fitting])

    def timing_s(self, parts: Iterable[Part], seconds: float) -> float:
        """What is left for timing of so many seconds."""
        return max(0.0, seconds - self._fixed_s(set(parts))) / MARGIN

    def _fixed_s(self, parts: set[Part]) -> float:
        """Starting a process, loading the model, and comparing the parts with eager."""
        return START_S + MARGIN * (self.shares.load_s + self._parity_s(parts))

    def _parity_s(self, parts: set[Part]) -> float:
        """An utterance that the model draws, then two that are spoken both ways."""
        seconds = self.shares.seconds
        compared = seconds["llm"] if "llm" in parts else 0.0
        if parts.intersection(FLOW):
            compared += seconds["encode"] + seconds["velocity"]
        if parts - {"llm"}:
            compared += seconds["vocode"]
        first = _tokens(TIMED_LENGTHS[0])
        drawn = SPOKEN_TOKENS / first
        return drawn * seconds["llm"] + 2 * (drawn + _tokens(STREAMED) / first) * compared

    def _timing_s(self, parts: set[Part], lengths: list[Length]) -> float:
        visit = sum(self.shares.visit_s[part] for part in parts) / _tokens(TIMED_LENGTHS[0])
        return MARGIN * EAGER_WAYS * (1 + LEAST_PASSES) * visit * sum(map(_tokens, lengths))
