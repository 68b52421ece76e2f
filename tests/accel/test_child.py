"""A call in a process of its own: its value, its memory, and every way in which it may fail."""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path

from cosyrt.accel.child import LONGEST_REASON, MB, call_in_child, own_peak_bytes

ENOUGH_S = 60.0


def take(megabytes: int) -> int:
    return len(bytearray(os.urandom(1024)) * 1024 * megabytes)


def test_the_value_comes_back_with_the_memory() -> None:
    """The child's own peak is told, and nothing of the parent's."""
    ballast = b"x" * (400 * MB)
    outcome = call_in_child(take, 200, timeout_s=ENOUGH_S)

    assert (outcome.value, outcome.failure) == (200 * MB, None)
    assert 200 * MB <= outcome.peak_bytes < 400 * MB
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
    """What it registered for its end is run: nothing of it, such as a semaphore, stays behind."""
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


def test_a_greedy_call_is_ended() -> None:
    """The memory limit ends a call that would take it all."""
    outcome = call_in_child(_greedy, timeout_s=ENOUGH_S, memory_bytes=200 * MB)

    assert outcome.failure == "it needs more than 200 MB of memory"


def _greedy() -> None:
    held = take_bytes(300)
    time.sleep(600)
    assert held


def take_bytes(megabytes: int) -> bytearray:
    return bytearray(os.urandom(1024)) * 1024 * megabytes
