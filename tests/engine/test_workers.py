"""The threads that run turns: at once, on their share of the cores, and what becomes of an error."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
import torch

from cosyrt.engine.dispatch import Done, Turn
from cosyrt.engine.need import Need
from cosyrt.engine.workers import WORKERS, Bell, Workers, workers_on

DONE = Done([], {}, 0.0)


class Turns:
    """Turns that are ready, and what became of them."""

    def __init__(self, count: int, error: Exception | None = None, meet: int = 2) -> None:
        self.ready = [Turn(Need.VOCODE, []) for _ in range(count)]
        self.error = error
        self.meeting = threading.Barrier(meet)
        self.threads: list[int] = []
        self.finished: list[Turn] = []
        self.ends: list[BaseException | None] = []
        self.all_finished = threading.Event()
        self.chosen_at_once = 0

    def next_turn(self) -> Turn | None:
        self.chosen_at_once += 1
        assert self.chosen_at_once == 1
        self.chosen_at_once -= 1
        return self.ready.pop() if self.ready else None

    def leaves_more(self, turn: Turn) -> bool:
        return bool(self.ready)

    def run(self, turn: Turn) -> Done:
        self.threads.append(torch.get_num_threads())
        self.meeting.wait(60)  # as many must be under way at once
        if self.error is not None:
            raise self.error
        return DONE

    def finish(self, turn: Turn, done: Done) -> None:
        assert done is DONE
        self.finished.append(turn)
        if len(self.finished) == 4:
            self.all_finished.set()

    def rest_s(self) -> float | None:
        return None

    def ended(self, error: BaseException | None) -> None:
        self.ends.append(error)


def test_turns_are_run_at_once_on_a_share_of_the_cores() -> None:
    """Two workers run two turns at a time, each on half of the threads; those of all others stay theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        turns = Turns(4)
        workers = Workers(turns, 2)
        assert turns.all_finished.wait(60)
        workers.stop()
        others = list[int]()
        other = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert turns.threads == [2] * 4 and turns.ends == [None]
        assert torch.get_num_threads() == 4 and others == [4]
    finally:
        torch.set_num_threads(before)

    """A thread that has them runs it; where there is one worker only, that one has."""
    """It is run by a thread that has them; where there is one worker only, that one has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        for count in (1, 2):
            turns = Turns(0, meet=1)
            workers = Workers(turns, count)
            turns.ready = [Turn(Need.VOCODE, [], alone=True) for _ in range(4)]
            workers.wake()
            assert turns.all_finished.wait(60)
            workers.stop()
            assert turns.threads == [4] * 4 and turns.ends == [None]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("alone", [False, True])
def test_a_worker_that_breaks_stops_all(alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one to end lets go of everything, and says by which error."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    turns = Turns(0, ZeroDivisionError("ours"), meet=2)
    workers = Workers(turns, 2)
    turns.ready = [Turn(Need.VOCODE, [], alone=alone)]
    workers.wake()
    turns.meeting.wait(60)
    for thread in workers._threads:
        thread.join(60)

    assert len(turns.ends) == 1 and isinstance(turns.ends[0], ZeroDivisionError)
    assert not turns.finished


def test_a_turn_that_comes_later_wakes_them() -> None:
    """Whoever has nothing to do is woken, and runs what there is by then."""
    turns = Turns(0)
    workers = Workers(turns, 2)
    turns.ready = [Turn(Need.VOCODE, []) for _ in range(4)]
    workers.wake()
    assert turns.all_finished.wait(60)
    workers.stop()
    assert turns.ends == [None]


def test_a_stop_in_the_middle_of_a_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that forgets what woke it then looks whether it was stopped: it does not wait for ever."""
    workers = Workers(Turns(0), 1)
    clear, cleared = Bell.clear, threading.Event()

    def stopped_meanwhile(bell: Bell) -> None:
        workers._stopped = True
        workers.wake()
        clear(bell)
        cleared.set()

    monkeypatch.setattr(Bell, "clear", stopped_meanwhile)
    workers.wake()
    assert cleared.wait(60)
    for thread in workers._threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_worker_that_stops_them_waits_for_nobody() -> None:
    """In the middle of a turn it cannot wait for its own end: both come to theirs behind it."""
    turns = Turns(0, meet=1)
    workers = Workers(turns, 2)
    run = turns.run

    def stopping(turn: Turn) -> Done:
        workers.stop()
        return run(turn)

    turns.run = stopping  # type: ignore[method-assign]
    turns.ready = [Turn(Need.VOCODE, [])]
    workers.wake()
    for thread in workers._threads:
        thread.join(60)
        assert not thread.is_alive()
    assert turns.ends == [None] and len(turns.finished) == 1


PROGRAM = """
import threading, time
from cosyrt.engine.workers import Workers

class Endless:
    begun, alone = threading.Event(), False
    def next_turn(self): return self
    def leaves_more(self, turn): return True
    def run(self, turn):
        self.begun.set()
        time.sleep(0.01)
    def finish(self, turn, done): pass
    def rest_s(self): return None
    def ended(self, error): print("ended", error, flush=True)

Workers(Endless(), 2)
assert Endless.begun.wait(60)
"""


def test_a_program_that_closes_nothing_ends_in_order() -> None:
    """At its exit the workers come to the end of their turns: none is cut off inside of a library."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended None\n", "")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals")
def test_a_bell_may_ring_while_it_is_rung() -> None:
    """A signal that comes at any moment rings it again, in the same thread, and nobody waits for himself."""
    bell, rings = Bell(), 0

    def ring(*args: object) -> None:
        nonlocal rings
        rings += 1
        bell.ring()

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        while rings < 300:
            bell.ring()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    bell.wait(None)
    bell.clear()
    bell.wait(0.0)  # nothing is left, and that is no error


def test_a_processor_of_several_cores_has_two() -> None:
    """One core has one worker, and so has a device whose stages wait for one another."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert workers_on(torch.device("cpu")) == 1
        torch.set_num_threads(4)
        assert workers_on(torch.device("cpu")) == WORKERS == 2
        assert workers_on(torch.device("cuda")) == 1
    finally:
        torch.set_num_threads(before)
