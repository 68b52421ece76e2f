"""A call in a process of its own: it may take too long, eat the memory or crash, and the caller lives on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cosyrt.errors import kind_and_reason

WATCH_S = 0.05  # how often the memory of a child is looked at
GRACE_S = 3.0  # for a child that has answered, or is asked to leave, to clean up after itself
LONGEST_REASON = 240  # characters; compilers raise pages
MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a call: its value, or why there is none."""

    value: Any = None
    failure: str | None = None
    peak_bytes: int = 0  # of the child's memory; 0 where the system does not tell
    seconds: float = 0.0  # the start of the process included


def call_in_child(
    function: Callable[..., Any],
    *arguments: Any,
    timeout_s: float,
    memory_bytes: int | None = None,
) -> Outcome:
    """`function(*arguments)` in a fresh process. Both must be picklable: a function of a module, plain data.

    The child ends with the call, with the time or with the memory, and never outlives this.
    """
    begin = time.monotonic()
    # What a child that is killed leaves behind goes with its folder; who still writes there is about to end.
    with TemporaryDirectory(prefix="cosyrt-", ignore_cleanup_errors=True) as folder:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_answer, args=(there, folder, function, arguments), daemon=True)
        _start(child)
        there.close()
        try:
            failure = _watch(child, here, begin + timeout_s, memory_bytes)
            value, raised, peak_bytes = _heard(here, child) if failure is None else (None, failure, 0)
            if failure is None:
                child.join(GRACE_S)
        finally:
            _end(child)
            here.close()
    seconds = time.monotonic() - begin
    return Outcome(value=value, failure=raised, peak_bytes=peak_bytes, seconds=seconds)


def _start(child: BaseProcess) -> None:
    """Start it deaf to Ctrl-C from its first moment: this process hears it, and ends the child."""
    if sys.platform == "win32":
        child.start()
        return
    resource_tracker.ensure_running()  # started on the way, it would unmask what is masked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(child: BaseProcess) -> None:
    """Ask it to leave, which ends its compilers and gives back its semaphores; then do not ask."""
    child.terminate()
    child.join(GRACE_S)
    child.kill()
    child.join()


def _answer(
    answer: Connection, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """In the child: call, and send (value, what was raised, peak memory)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder))
    tempfile.tempdir = None  # it is found again
    try:
        value, raised = function(*arguments), None
    except Exception as error:  # whatever it is, the parent is told
        value, raised = None, kind_and_reason(error, LONGEST_REASON)
    answer.send((value, raised, own_peak_bytes()))


def _watch(child: BaseProcess, answer: Connection, deadline: float, memory_bytes: int | None) -> str | None:
    """Wait for the answer; in words why there will be none."""
    while not answer.poll(WATCH_S):
        if time.monotonic() > deadline:
            return "it took too long"
        used = _status_bytes(child.pid or 0, "VmRSS")
        if memory_bytes is not None and used > memory_bytes:
            child.kill()  # it would take more while it is asked
            return f"it needs more than {memory_bytes // MB} MB of memory"
    return None


def _heard(answer: Connection, child: BaseProcess) -> tuple[Any, str | None, int]:
    try:
        value, raised, peak_bytes = answer.recv()
    except EOFError:  # it ended without a word
        child.join()
        return None, f"the process died (exit code {child.exitcode})", 0
    return value, raised, peak_bytes


def own_peak_bytes() -> int:
    """The most memory this process has held at once; 0 where the system does not tell.

    On Linux from `VmHWM`: what `getrusage` says there includes the parent's memory at the fork.
    """
    if Path("/proc/self/status").exists():
        return _status_bytes("self", "VmHWM")
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status_bytes(process: int | str, field: str) -> int:
    """A line of /proc/…/status in bytes; 0 where there is none, as of a process that has just ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    values = (line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(next(values, 0))
