"""A call in a process of its own: it may take too long, eat the memory or crash, and the caller lives on."""

from __future__ import annotations

import inspect
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
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import TracebackType
from typing import Any, Literal, NamedTuple

from cosyrt.errors import CosyrtError, kind_and_reason, one_line
from cosyrt.units import MIB

WATCH_S = 0.05  # how often the memory of a child is looked at
GRACE_S = 3.0  # for a child that has answered, or is asked to leave, to clean up after itself
PARENT_IS_GONE = 1  # exit code that nobody reads
LONGEST_REASON = 240  # characters; compilers raise pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a call: its value, or why there is none."""

    value: Any = None
    failure: str | None = None  # in one line
    error: CosyrtError | None = None  # what was raised, where it is one of ours
    peak_bytes: int = 0  # of the child's memory; 0 where the system does not say
    seconds: float = 0.0  # the start of the process included


class ChildFailure(Exception):
    """A child will send nothing more; the message says why in one line."""

    def __init__(
        self,
        kind: Literal["raised", "timeout", "memory", "died"],
        reason: str,
        error: CosyrtError | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind, self.error = kind, error


class Message(NamedTuple):
    """One thing that a child sends: a value, or what was raised."""

    value: Any = None
    failure: str | None = None
    error: CosyrtError | None = None
    peak_bytes: int = 0  # the most memory it has held so far


def call_in_child(
    function: Callable[..., Any],
    *arguments: Any,
    timeout_s: float,
    memory_bytes: int | None = None,
) -> Outcome:
    """Call `function(*arguments)` in a fresh process and wait for its value.

    Both must be picklable: a function of a module, plain data. As ever with `multiprocessing`, a script calls
    this under `if __name__ == "__main__":`. The child ends with the call, with the time or with the memory.
    """
    begin = time.monotonic()
    with Child(function, *arguments, memory_bytes=memory_bytes) as child:
        try:
            message = child.receive(timeout_s)
            child.process.join(GRACE_S)
        except ChildFailure as failure:
            message = Message(failure=str(failure), error=failure.error, peak_bytes=child.peak_bytes)
    seconds = time.monotonic() - begin
    return Outcome(
        value=message.value,
        failure=message.failure,
        error=message.error,
        peak_bytes=message.peak_bytes,
        seconds=seconds,
    )


class Child:
    """A function that runs in a process of its own and sends what it returns, or each value that it yields.

    The process never outlives the `with` block, nor this process. Its temporary files have a folder that goes
    with it.
    """

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, memory_bytes: int | None = None
    ) -> None:
        self.call = function, arguments
        self.memory_bytes, self.peak_bytes = memory_bytes, 0

    def __enter__(self) -> Child:
        # Whoever still writes there when it is removed is about to end.
        self.folder = TemporaryDirectory(prefix="cosyrt-", ignore_cleanup_errors=True)
        context = multiprocessing.get_context("spawn")
        self.answers, sender = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_answer, args=(sender, self.folder.name, *self.call), daemon=True
        )
        self._start()
        sender.close()
        return self

    def _start(self) -> None:
        """Start it deaf to Ctrl-C from its first moment: this process receives it, and ends the child."""
        if sys.platform == "win32":
            self.process.start()
            return
        resource_tracker.ensure_running()  # started on the way, it would unmask what is masked here
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def receive(self, timeout_s: float) -> Message:
        """Wait for the next message.

        Raises:
            ChildFailure: there will be none.
        """
        self._wait(time.monotonic() + timeout_s)
        try:
            message: Message = self.answers.recv()
        except EOFError:  # it ended without a word
            self.process.join()
            reason = f"the process died (exit code {self.process.exitcode})"
            raise ChildFailure("died", reason) from None
        self.peak_bytes = message.peak_bytes
        if message.failure is not None:
            raise ChildFailure("raised", message.failure, message.error)
        return message

    def _wait(self, deadline: float) -> None:
        """Wait until something has arrived, and watch time and memory meanwhile."""
        while not self.answers.poll(WATCH_S):
            if time.monotonic() > deadline:
                raise ChildFailure("timeout", "it took too long")
            if self.memory_bytes is not None and _resident_bytes(self.process.pid) > self.memory_bytes:
                self.process.kill()  # it would take more while it is asked
                reason = f"it needs more than {self.memory_bytes // MIB} MB of memory"
                raise ChildFailure("memory", reason)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask it to leave, which ends its compilers and gives back its semaphores; then end it."""
        self.process.terminate()
        self.process.join(GRACE_S)
        self.process.kill()
        self.process.join()
        self.answers.close()
        self.folder.cleanup()


def _answer(
    sender: Connection, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Call the function, in the child, and send what comes of it."""
    Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder))
    tempfile.tempdir = None  # it is found again
    try:
        found = function(*arguments)
        for value in found if inspect.isgenerator(found) else (found,):
            sender.send(Message(value, peak_bytes=own_peak_bytes()))
    except Exception as error:  # whatever it is, the parent gets to know
        known = error if isinstance(error, CosyrtError) else None
        reason = one_line(error) if known else kind_and_reason(error, LONGEST_REASON)
        sender.send(Message(failure=reason, error=known, peak_bytes=own_peak_bytes()))


def _end_with_parent() -> None:
    """End this process when its parent is gone: killed, it cannot end its children itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(PARENT_IS_GONE)


def _resident_bytes(process: int | None) -> int:
    """Memory that a process holds now; 0 if it has just ended."""
    import psutil

    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return 0


def own_peak_bytes() -> int:
    """Return the most memory this process has held at once; 0 where the system does not say.

    On Linux from `VmHWM`: what `getrusage` says there includes the parent's memory at the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
