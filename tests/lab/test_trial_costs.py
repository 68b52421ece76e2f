"""How long trials take, from what plain speech takes."""

from __future__ import annotations

import pytest

from cosyrt.accel.contract import Part
from cosyrt.lab.trial import Shares
from cosyrt.lab.trial_costs import LEAST_LENGTHS, START_S, TrialCosts, cheapest_first
from cosyrt.lab.workload import TIMED_LENGTHS


def costs(slowness: float) -> TrialCosts:
    speech: dict[Part, float] = {"llm": 2.0, "encode": 0.1, "velocity": 1.0, "vocode": 0.5}
    visits: dict[Part, float] = {"llm": 1.0, "encode": 0.1, "velocity": 1.0, "vocode": 1.0}
    return TrialCosts(
        Shares(
            seconds={part: slowness * seconds for part, seconds in speech.items()},
            visit_s={part: slowness * seconds for part, seconds in visits.items()},
            load_s=slowness,
            device="cpu",
        )
    )


def test_lengths_come_cheapest_first() -> None:
    """All of them, and a streamed one counts as longer than it is."""
    known = cheapest_first()
    assert sorted(known) == sorted(TIMED_LENGTHS)
    assert known[0].speech_tokens <= 83 and known[-1].speech_tokens >= 211


@pytest.mark.parametrize("slowness", [1, 7, 20])
def test_costs_grow_with_the_machine(slowness: int) -> None:
    """All but the start of a process takes so many times as long; the whole is more than any part."""
    here, slow = costs(1), costs(slowness)
    for parts in ({"llm"}, {"velocity"}, {"llm", "velocity"}):
        least = here.least_s(parts) - START_S  # type: ignore[arg-type]
        assert slow.least_s(parts) - START_S == pytest.approx(slowness * least)  # type: ignore[arg-type]
        assert here.least_s(parts, whole=True) > here.least_s(parts)  # type: ignore[arg-type]


def test_more_time_is_spent_on_more_lengths() -> None:
    """Never fewer than a verdict needs, never more than there are."""
    here = costs(1)
    counts = [here.lengths({"llm"}, seconds) for seconds in (0, here.least_s({"llm"}), 500, 5_000)]
    assert counts[0] == counts[1] == LEAST_LENGTHS
    assert counts == sorted(counts) and counts[-1] == len(TIMED_LENGTHS)
    assert here.timing_s({"llm"}, 0) == 0 < here.timing_s({"llm"}, 500) < 500
