"""What became of a candidate, in one word and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cosyrt.accel.contract import Part, Precision
from cosyrt.lab.child import Outcome
from cosyrt.lab.parity import Parity
from cosyrt.lab.timing import SMALLEST_GAIN
from cosyrt.lab.trial import SEEN, Result, Timed

Verdict = Literal["chosen", "faster", "same", "slower", "wrong", "failed", "absent", "not tried"]
WHOLE = "whole"
UTTERANCES = 20  # of a process, that must earn back what is built when it loads the model
UNNOTICED_S = 2.0  # a build that takes less is forgiven


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a candidate for a part, and what became of it."""

    part: Part | Literal["whole"]
    candidate: str
    precision: Precision
    verdict: Verdict
    why: str
    predicted: float  # how many times as fast a whole utterance should be, by the book
    parity: Parity | None = None
    timed: Timed | None = None
    build_s: float | None = None
    peak_bytes: int | None = None
    calls: dict[str, list[tuple[int, float]]] | None = None

    @property
    def gain(self) -> float:
        """How many times cheaper than eager, lengths that are first seen included."""
        return 1.0 if self.timed is None else self.timed.plain_cost_s / self.timed.cost_s


def amdahl(share: float, factor: float) -> float:
    """How many times as fast the whole is when a part of that share is so many times as fast."""
    return 1 / (1 - share + share / factor)


def too_small(share: float) -> str:
    """Why a part is not worth trying, if it is not: gone altogether, it would not be missed."""
    most = amdahl(share, 1e9)
    if most > 1 + SMALLEST_GAIN:
        return ""
    return f"{share:.1%} of the work: even for nothing it would make an utterance {most:.3f} times as fast"


def judged(outcome: Outcome, *, kept: bool = False) -> dict[str, object]:
    """What a row says of an outcome: everything but its name and its prediction.

    What was built is built again at every load, unless it is `kept`.
    """
    if outcome.failure is not None:
        return {"verdict": "failed", "why": outcome.failure}
    result: Result = outcome.value
    facts: dict[str, object] = {
        "parity": result.parity,
        "timed": result.timed,
        "build_s": result.build_s,
        "peak_bytes": outcome.peak_bytes,
        "calls": result.calls,
    }
    if result.timed is None:
        return facts | {"verdict": "wrong", "why": result.parity.why}
    verdict, why = _of_time(result.timed, 0.0 if kept else result.build_s)
    return facts | {"verdict": verdict, "why": why}


def _of_time(timed: Timed, build_s: float) -> tuple[Verdict, str]:
    verdict = timed.speedup.verdict(timed.floor)
    if verdict == "slower":
        return "slower", f"takes {1 / timed.speedup.median:.2f} times as long as eager"
    if verdict == "same":
        return "same", f"within the noise: here eager differs from itself by up to {timed.floor - 1:.0%}"
    if timed.cost_s >= timed.plain_cost_s:
        return "slower", (
            f"faster only on lengths it has seen; a new one costs {timed.first_seen_s:.2f} s more, "
            f"which {SEEN} utterances of it do not earn back"
        )
    saved_s = timed.plain_cost_s - timed.cost_s
    if build_s > max(UNNOTICED_S, UTTERANCES * saved_s):
        return "slower", (
            f"{saved_s:.2f} s less an utterance, but every load of the model builds it for {build_s:.0f} s, "
            f"which {UTTERANCES} utterances do not earn back"
        )
    return "faster", ""
