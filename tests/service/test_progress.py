"""A model that hangs is told of, one that works or rests is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cosyrt.service.progress import HUNG_S, Progress


def test_a_model_that_hangs_is_told_of() -> None:
    """With work and no turn for too long there is a problem; a turn, or nothing to do, ends it."""
    load: Any = SimpleNamespace(turns=5, active=1, parked=0)
    now = [0.0]
    progress = Progress(lambda: load, lambda: now[0])
    assert progress.problem() == ""
    now[0] = HUNG_S
    assert progress.problem() == ""
    now[0] = HUNG_S + 20
    assert progress.problem() == "the model has not answered for 200 s"
    load.turns = 6
    assert progress.problem() == ""
    now[0] += 2 * HUNG_S
    load.parked = 1
    assert progress.problem() == ""


def test_rest_is_no_work() -> None:
    """Time in which nothing was asked for does not count."""
    load: Any = SimpleNamespace(turns=5, active=0, parked=0)
    now = [0.0]
    progress = Progress(lambda: load, lambda: now[0])
    progress.problem()
    now[0] = 10_000.0
    assert progress.problem() == ""
    load.active = 1
    now[0] += HUNG_S
    assert progress.problem() == ""
