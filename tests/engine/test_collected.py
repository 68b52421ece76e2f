"""What is closed by a collection of garbage waits for nobody, in whatever thread and under whatever lock."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Generator

import pytest

import cosyrt
from cosyrt.engine.collected import is_collecting, watch_collections
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Scheduler
from tests.engine.pipelines import SHORT, other
from tests.engine.quick import quick
from tests.threads import Started


class Garbage:
    """Calls a function when it is collected; no thread drops it before, because it holds itself."""

    def __init__(self, at_the_end: Callable[[], object]) -> None:
        self.at_the_end, self.itself = at_the_end, self

    def __del__(self) -> None:
        self.at_the_end()


def in_a_thread(work: Callable[[], object]) -> None:
    """Do work that may never end, and fail where it does not."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits for ever"


def test_a_collection_is_noticed_by_the_thread_that_makes_it() -> None:
    """Not before, not behind, not by another thread, and not where a name is given up."""
    watch_collections()
    watch_collections()
    found, elsewhere = list[bool](), list[bool]()

    def note() -> None:
        found.append(is_collecting())
        in_a_thread(lambda: elsewhere.append(is_collecting()))

    Garbage(note)
    gc.collect()
    garbage = Garbage(note)
    del garbage.itself, garbage
    assert (found, elsewhere) == ([True, False], [False, False])
    assert not is_collecting()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_may_collect_what_closes_its_scheduler(
    tiny: Pipeline, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a turn it cannot wait for its own end; all workers end, and every reader is told."""
    raised = list[object]()
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    started, step = Started(), tiny.model.stages.step

    def collecting(*args: object) -> object:
        Garbage(scheduler.close)
        gc.collect()
        return step(*args)  # type: ignore[arg-type]

    scheduler = Scheduler(other(tiny, step=collecting), cosyrt.SchedulerConfig(workers=workers))
    ticket = scheduler.submit(Request(text=SHORT))
    with pytest.raises(cosyrt.Cancelled):
        in_a_thread_raising(lambda: list(ticket))
    for thread in started("cosyrt-scheduler"):
        thread.join(60)
    assert not started("cosyrt-scheduler") and not raised


def in_a_thread_raising(work: Callable[[], object]) -> None:
    """Do work that may never end; raise its error."""
    errors = list[BaseException]()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    in_a_thread(run)
    for error in errors:
        raise error


def test_whoever_holds_the_lock_may_collect_what_closes_the_scheduler(tiny: Pipeline) -> None:
    """A thread that looks at the load, or submits, holds what the workers need to come to their end."""
    started = Started()
    scheduler = Scheduler(quick(tiny))

    def speaking() -> Generator[None, None, None]:
        with scheduler:
            yield

    def abandon() -> None:
        left = speaking()
        next(left)
        Garbage(left.close)

    def look() -> None:
        with scheduler._lock:
            gc.collect()

    abandon()
    in_a_thread(look)
    for thread in started("cosyrt-scheduler"):
        thread.join(60)
    assert not started("cosyrt-scheduler")
    with pytest.raises(cosyrt.Busy):
        scheduler.submit(Request(text=SHORT))
