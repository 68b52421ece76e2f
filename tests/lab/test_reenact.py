"""With a fuser, upstream's way compiles again for lengths never seen; ours never does."""

from __future__ import annotations

from dataclasses import asdict
from queue import Queue
from threading import Event, Thread

import pytest

from cosyrt.lab.export import Exported
from cosyrt.lab.reenact import BEGIN, PLAN, Call, Scene, calls_of, watch
from tests.tiny import FLOW

LENGTHS = (5, 8, 11, 14, 17, 5, 8)  # the last two have been seen


def scene(exported: dict[str, Exported], **change: object) -> Scene:
    fields = {"ways": ("cosyrt", "upstream"), "lengths": LENGTHS} | change
    return Scene(archive=str(exported["fp32"].path), config=asdict(FLOW.encoder), **fields)  # type: ignore[arg-type]


def plans(calls: list[Call], way: str) -> list[int]:
    assert all(call.finished for call in calls)
    return [call.plans for call in calls if call.way == way]


@pytest.fixture(scope="module")
def forced(exported: dict[str, Exported]) -> list[Call]:
    """Both ways in turn, in one process, with the fuser forced on."""
    return watch(scene(exported, force_fuser=True), limit_s=120)


def test_upstreams_way_respecialises_over_lengths_never_seen(forced: list[Call]) -> None:
    """The first call is profiled, the second planned; after that plans are made for new lengths only."""
    made = plans(forced, "upstream")

    assert sum(made[2:5]) > 0
    assert made[5:] == [0, 0]


def test_ours_does_not(forced: list[Call]) -> None:
    """Not one plan is specialised, at the first call or later."""
    assert plans(forced, "cosyrt") == [0] * len(LENGTHS)


def test_ours_leaves_the_rest_of_the_process_as_it_was(
    exported: dict[str, Exported], forced: list[Call]
) -> None:
    """Upstream's way makes as many plans beside ours as it makes alone."""
    alone = watch(scene(exported, ways=("upstream",), force_fuser=True), limit_s=120)

    assert plans(alone, "upstream") == plans(forced, "upstream")


def test_a_call_over_the_limit_ends_the_scene(exported: dict[str, Exported]) -> None:
    """It is told as unfinished, and nothing comes after it."""
    calls = watch(scene(exported, ways=("eager",), lengths=(60_000, 5)), limit_s=0.01)

    assert [(call.way, call.tokens, call.finished) for call in calls] == [("eager", 60_000, False)]


def test_the_limit_holds_while_the_executor_keeps_logging() -> None:
    """Plans that are told one after another do not put it off: what comes after the limit is not counted."""
    lines: Queue[str | None] = Queue()
    stop = Event()

    def log_on() -> None:
        lines.put(f"{BEGIN}upstream 57")
        while not stop.wait(0.01):
            lines.put(PLAN)

    thread = Thread(target=log_on)
    thread.start()
    try:
        (call,) = calls_of(lines, limit_s=0.2)
    finally:
        stop.set()
        thread.join()

    assert not call.finished
    assert call.plans > 0
