"""Ctrl-C ends a command, even where a library has swallowed it once."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A signal may end the process that runs the tests, so whoever is interrupted has a process of its own.
SWALLOWED = """
import contextlib, signal, time
from cosyrt.cli.interrupts import LastingInterrupt
with LastingInterrupt(repeat_s=0.1):
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    print("swallowed", flush=True)
    time.sleep(60)
"""
SOON_OVER = """
import contextlib, signal
from cosyrt.cli.interrupts import LastingInterrupt
with LastingInterrupt():
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    END
"""
ENDED = """
import signal, time
from cosyrt.cli.interrupts import LastingInterrupt
try:
    with LastingInterrupt(repeat_s=0.5):
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("ended", flush=True)
time.sleep(1)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
LISTENS = """
import signal, time
from cosyrt.cli.interrupts import LastingInterrupt
heard = []
handler = lambda number, frame: heard.append(int(number))
signal.signal(signal.SIGINT, handler)
with LastingInterrupt(repeat_s=0.05):
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.5)
print(heard)
print(signal.getsignal(signal.SIGINT) is handler)
"""


def run(script: str) -> tuple[str, str]:
    """What a program prints, and the last line of its traceback."""
    command = [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler)" + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    return done.stdout, done.stderr.strip().rpartition("\n")[2]


def test_a_swallowed_interrupt_comes_again() -> None:
    """What caught it goes on for a moment, then it is raised once more, from a wait too."""
    assert run(SWALLOWED) == ("swallowed\n", "KeyboardInterrupt")


@pytest.mark.parametrize("end", ["pass", "import no_such_module", "raise SystemExit(0)"])
def test_a_swallowed_interrupt_ends_even_what_is_over_before(end: str) -> None:
    """A swallowed interrupt has the last word, however the work ends."""
    assert run(SOON_OVER.replace("END", end)) == ("", "KeyboardInterrupt")


def test_an_interrupt_that_ended_its_work_does_not_come_again() -> None:
    """Afterwards the signal means what it meant before."""
    assert run(ENDED) == ("ended\nTrue\n", "")


def test_a_program_that_listens_itself_is_left_alone() -> None:
    """A handler that is set stays, inside and afterwards, and hears the signal once."""
    assert run(LISTENS) == ("[2]\nTrue\n", "")
