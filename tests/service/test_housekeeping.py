"""Housekeeping: every task gets its turn, and one that fails keeps none of the others from it."""

from __future__ import annotations

import threading

from cosyrt.errors import UsageError
from cosyrt.service.housekeeping import Housekeeper


def test_a_task_that_fails_is_named_and_tried_again() -> None:
    """The others are done all the same; when it succeeds again it is no longer named."""
    done, broken = list[str](), [True]

    def fails() -> None:
        if broken[0]:
            raise UsageError("not today")

    keeper = Housekeeper({"failing": fails, "working": lambda: done.append("working")})
    keeper.tidy()
    assert keeper.failing == {"failing": "not today"} and done == ["working"]
    broken[0] = False
    keeper.tidy()
    assert keeper.failing == {} and done == ["working"] * 2


def test_tasks_are_done_when_their_time_has_come_and_when_told() -> None:
    """With a short pause they repeat by themselves; with a long one they are done on demand."""
    for every_s, told in ((0.001, False), (3_600.0, True)):
        turns = threading.Semaphore(0)
        with Housekeeper({"counting": turns.release}, every_s=every_s) as keeper:
            for _ in range(2):
                if told:
                    keeper.soon()
                assert turns.acquire(timeout=60)
