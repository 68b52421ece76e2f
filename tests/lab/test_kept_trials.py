"""Results of trials that the next tuning goes on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosyrt.lab.kept_trials import KeptTrials
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.trial import TrialResult
from tests.lab.test_trial import timed

MADE_FOR = {"torch": "2.9", "model": "abc"}
ROW = TrialResult(
    part="llm",
    candidate="int8",
    precision="quantised",
    verdict="faster",
    why="",
    predicted=2.0,
    parity=Parity(precision="quantised", distances=Distances(call=0.01)),
    timed=timed(1.4, 1.6),
    build_s=1.5,
    peak_bytes=10,
    calls={"step": [(1, 0.1), (20, 0.2)]},
)


def test_a_result_is_read_back(tmp_path: Path) -> None:
    """With its figures, for the plan that it was measured for and no other; no plan is found there."""
    kept = KeptTrials(tmp_path / "plan.json", MADE_FOR)
    kept.keep(ROW)

    waiting = replace(ROW, verdict="not tried", timed=None)
    assert KeptTrials(tmp_path / "plan.json", MADE_FOR).of(waiting) == ROW
    assert KeptTrials(tmp_path / "plan.json", MADE_FOR | {"torch": "3.0"}).of(waiting) is waiting
    assert KeptTrials(tmp_path / "other.json", MADE_FOR).of(waiting) is waiting
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("verdict", ["failed", "absent", "not tried"])
def test_what_was_not_measured_is_tried_again(verdict: str, tmp_path: Path) -> None:
    """A trial that had no time, or whose process died, says nothing of the candidate."""
    kept = KeptTrials(tmp_path / "plan.json", MADE_FOR)
    kept.keep(replace(ROW, verdict=verdict))  # type: ignore[arg-type]
    assert not KeptTrials(tmp_path / "plan.json", MADE_FOR).rows


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"made_for": 1, "rows": []}', b"\xff", b'{"rows": {}}']
)
def test_a_damaged_file_is_no_result(content: bytes, tmp_path: Path) -> None:
    """All is measured anew."""
    (tmp_path / "plan.trials").write_bytes(content)
    assert not KeptTrials(tmp_path / "plan.json", MADE_FOR).rows
