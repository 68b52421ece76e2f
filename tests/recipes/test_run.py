"""The order in which the stages of the recipe run."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

import pytest

from recipes.builtin_voice.run import STAGES, Stage, run


def test_a_stage_waits_for_what_it_needs() -> None:
    """Every stage once, none before what it is after, never more at once than asked for."""
    over: list[str] = []
    inside, most, lock = 0, 0, threading.Lock()

    def call(stage: Stage) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        assert set(stage.after) <= set(over)
        with lock:
            over.append(stage.name)
            inside -= 1

    run(STAGES, 2, call)
    assert sorted(over) == sorted(stage.name for stage in STAGES)
    assert most <= 2


def test_a_failing_stage_ends_the_run() -> None:
    """Nothing that needs it is begun, and its error comes out."""
    begun: list[str] = []

    def call(stage: Stage) -> None:
        begun.append(stage.name)
        if stage.name == "tokenizer":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run(STAGES, 1, call)
    assert "tokens" not in begun and "flow" not in begun


def test_a_command_line() -> None:
    """Minutes are scaled, and files in the work folder are found there."""
    options = argparse.Namespace(work=Path("w"), scale=0.5, device="cpu", threads=1)
    line = next(stage for stage in STAGES if stage.name == "vocoder_flow").command(options)
    assert line[line.index("--minutes") + 1] == "32.5"
    assert line[line.index("--start-from") + 1] == "w/vocoder.safetensors"
