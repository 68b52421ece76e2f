"""Ctrl-C ends a command, even where a library has swallowed it once."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from cosyrt.cli.interrupts import LastingInterrupt


def test_a_swallowed_interrupt_comes_again() -> None:
    """What caught it goes on for a moment, then it is raised once more, from a wait too."""
    with pytest.raises(KeyboardInterrupt), LastingInterrupt(repeat_s=0.1):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        time.sleep(60)


def test_an_interrupt_that_ended_its_work_does_not_come_again() -> None:
    """Afterwards the signal means what it meant before."""
    with pytest.raises(KeyboardInterrupt), LastingInterrupt(repeat_s=0.05):
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_that_listens_itself_is_left_alone() -> None:
    """A handler that is set stays, inside and afterwards."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with LastingInterrupt(repeat_s=0.05):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.2)
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
