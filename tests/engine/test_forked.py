"""A model that was loaded before its process was forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from cosyrt.engine.forked import check_usable
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from tests.engine.pipelines import SHORT, TEXT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
LONGEST_S = 60

PROGRAM = """
import multiprocessing, os, sys, threading
import numpy as np, torch
import cosyrt
torch.set_num_threads(2)
tts = cosyrt.load(plan=False, device="cpu")
spoken = tts.say("Hello there.", seed=3)
clip = cosyrt.Audio(np.concatenate([spoken.samples] * 3), spoken.rate)
tts.voice_from(clip, "")

def say(): assert tts.say("Hello there.", seed=3).seconds == spoken.seconds
def stream(): assert len(list(tts.stream("Hello there. How are you? " * 2)))
def clone(): tts.say("Hi.", voice=tts.voice_from(clip, ""))
def convert(): tts.convert(clip)
def load(): cosyrt.load(plan=False, device="cpu").say("Hi.")
def threads():
    work = [threading.Thread(target=say) for _ in range(2)]
    [each.start() for each in work], [each.join() for each in work]
def again(): in_a_fork(say)

def in_a_fork(work):
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode

for name in sys.argv[1:]:
    in_a_fork(globals()[name])
say()
assert torch.get_num_threads() == 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", ["say", "stream", "clone", "convert", "load", "threads", "again"])
def test_a_fork_speaks(work: str) -> None:
    """With two threads of torch in the parent, a child speaks, clones, loads anew and forks in turn."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM, work, work], check=True, timeout=LONGEST_S)


def in_a_fork(work: Callable[[], None]) -> int:
    """The exit code of a child that does the work; one that hangs is killed."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_has_one_thread_and_speaks(tiny: Pipeline) -> None:
    """The child of a pipeline that has spoken speaks as well; its parent keeps its threads."""
    threads = torch.get_num_threads()
    tiny.say(TEXT)

    def work() -> None:
        assert torch.get_num_threads() == 1
        tiny.say(TEXT)

    assert in_a_fork(work) == 0
    assert torch.get_num_threads() == threads


def test_what_a_fork_cannot_run_is_refused(tiny: Pipeline) -> None:
    """On a GPU or through a backend, a model of another process is one line of error, not a hang."""
    fast = replace(tiny.model, stages=tiny.model.stages._replace())
    for model in (fast, replace(tiny.model, device=torch.device("cuda"))):
        check_usable(model, os.getpid())
        with pytest.raises(UsageError, match="load it in each process"):
            check_usable(model, os.getpid() + 1)
    check_usable(tiny.model, os.getpid() + 1)
    parent = Pipeline(fast)
    parent.loaded_by += 1
    with pytest.raises(UsageError, match="forked after the model was loaded"):
        parent.say(SHORT)
