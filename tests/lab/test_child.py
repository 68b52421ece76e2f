"""A call in a process of its own: its value, its memory, and every way in which it may fail."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cosyrt.lab.child import LONGEST_REASON, call_in_child, own_peak_bytes
from cosyrt.units import MIB

ENOUGH_S = 60.0


def take(megabytes: int) -> int:
    return len(bytearray(os.urandom(1024)) * 1024 * megabytes)


def test_the_value_comes_back_with_the_memory() -> None:
    """The child's own peak is told, and nothing of the parent's."""
    ballast = b"x" * (400 * MIB)
    outcome = call_in_child(take, 200, timeout_s=ENOUGH_S)

    assert (outcome.value, outcome.failure) == (200 * MIB, None)
    assert 200 * MIB <= outcome.peak_bytes < 400 * MIB
    assert own_peak_bytes() >= len(ballast)


def test_what_is_raised_is_told_in_a_line() -> None:
    """An exception of the call is no exception here."""
    assert call_in_child(int, "x", timeout_s=ENOUGH_S).failure == (
        "ValueError: invalid literal for int() with base 10: 'x'"
    )


def test_a_page_that_is_raised_is_told_in_a_line() -> None:
    """Compilers raise their whole state; the beginning says what it was."""
    failure = call_in_child(int, "line\n" * 1000, timeout_s=ENOUGH_S).failure

    assert failure is not None and failure.startswith("ValueError: invalid literal")
    assert "\n" not in failure and len(failure) <= LONGEST_REASON + len("ValueError: ")


def _takes_its_leave(path: str) -> int:
    atexit.register(Path(path).write_text, "left")
    return 1


def test_a_child_that_has_answered_may_clean_up(tmp_path: Path) -> None:
    """Functions that it registered for its exit run: nothing of it, such as a semaphore, stays behind."""
    path = tmp_path / "left"

    assert call_in_child(_takes_its_leave, str(path), timeout_s=ENOUGH_S).value == 1
    assert path.read_text() == "left"


def test_a_crash_is_told() -> None:
    """A process that ends without a word is a failure, with its exit code."""
    assert call_in_child(os._exit, 7, timeout_s=ENOUGH_S).failure == "the process died (exit code 7)"


def test_a_hanging_call_is_ended() -> None:
    """The time limit counts whatever the call does."""
    outcome = call_in_child(time.sleep, 600, timeout_s=0.2)

    assert outcome.failure == "it took too long"
    assert outcome.seconds < 600


def _works_aside(where: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(where).write_text(folder)
        held = take_bytes(300)  # more than it may: it is killed here
        time.sleep(600)
        assert held


def test_a_killed_child_leaves_no_files(tmp_path: Path) -> None:
    """A child has a temporary folder of its own, which goes with it."""
    where = tmp_path / "where"
    outcome = call_in_child(_works_aside, str(where), timeout_s=ENOUGH_S, memory_bytes=200 * MIB)

    assert outcome.failure is not None
    made = Path(where.read_text())
    assert made.parent != Path(tempfile.gettempdir())
    assert not made.parent.exists()


def _waits_for_its_leave(path: str) -> None:
    atexit.register(Path(path).write_text, "left")
    Path(path).write_text("here")
    time.sleep(600)


def test_a_hanging_child_may_clean_up(tmp_path: Path) -> None:
    """A child is asked to leave before it is killed: a compiler that it runs ends, no semaphore leaks."""
    path = tmp_path / "left"
    outcome = call_in_child(_waits_for_its_leave, str(path), timeout_s=3.0)

    assert outcome.failure == "it took too long"
    assert path.read_text() == "left"


def _hears_ctrl_c(times: int) -> int:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
    return times


def test_a_child_is_deaf_to_ctrl_c() -> None:
    """All processes of a terminal get it; the parent decides."""
    assert call_in_child(_hears_ctrl_c, 3, timeout_s=ENOUGH_S).value == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a process group")
def test_ctrl_c_shows_no_traceback_of_a_child() -> None:
    """Neither when it has just started nor when it works."""
    code = "from cosyrt.lab.child import call_in_child; import time; print(1, flush=True); {}"
    call = "call_in_child(time.sleep, 600, timeout_s=600)"
    for later_s in (0.1, 1.0):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        parent = subprocess.Popen([sys.executable, "-c", code.format(call)], start_new_session=True, **pipes)
        assert parent.stdout.readline() == "1\n"
        time.sleep(later_s)
        os.killpg(parent.pid, signal.SIGINT)

        assert parent.communicate()[1].count("Traceback") == 1


def test_a_greedy_call_is_ended() -> None:
    """The memory limit ends a call that would take it all."""
    outcome = call_in_child(_greedy, timeout_s=ENOUGH_S, memory_bytes=200 * MIB)

    assert outcome.failure == "it needs more than 200 MB of memory"


def _greedy() -> None:
    held = take_bytes(300)
    time.sleep(600)
    assert held


def take_bytes(megabytes: int) -> bytearray:
    return bytearray(os.urandom(1024)) * 1024 * megabytes


ORPHAN = """
import sys, time
from cosyrt.lab.child import call_in_child
from tests.lab.test_child import tell_and_wait
if __name__ == "__main__":
    call_in_child(tell_and_wait, sys.argv[1], timeout_s=600)
"""


def tell_and_wait(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_child_ends_with_its_killed_parent(tmp_path: Path) -> None:
    """A parent that the system kills, for its memory or otherwise, leaves no process behind."""
    (tmp_path / "main.py").write_text(ORPHAN)
    told = tmp_path / "child"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", told], env=env)
    wait_for(lambda: told.exists() and bool(told.read_text()))
    child = int(told.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_running(child))


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; fail after a minute."""
    deadline = time.monotonic() + ENOUGH_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
