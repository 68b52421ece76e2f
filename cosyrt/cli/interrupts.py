"""Ctrl-C that is not lost: a library may swallow the exception of a signal that comes at a bad moment."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

REPEAT_S = 10.0  # longer than ending the processes of a command takes


class LastingInterrupt:
    """Within it, an interrupt of which nothing has come is raised again: after some seconds, or at the end.

    Only where Ctrl-C raises KeyboardInterrupt: a program that listens to the signal itself is left alone.
    """

    def __init__(self, repeat_s: float = REPEAT_S) -> None:
        self.repeat_s, self.timer = repeat_s, threading.Timer(0, lambda: None)
        self.is_ours, self.was_heard = False, False

    def __enter__(self) -> LastingInterrupt:
        main = threading.current_thread() is threading.main_thread()
        self.is_ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.is_ours:
            signal.signal(signal.SIGINT, self.heard)
        return self

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Raise the interrupt, and see to it that it is raised again unless it ends what runs inside.

        Raises:
            KeyboardInterrupt: always.
        """
        self.was_heard = True
        self.timer.cancel()
        self.timer = threading.Timer(self.repeat_s, signal.raise_signal, (signal.SIGINT,))
        if hasattr(signal, "pthread_kill"):  # it also wakes what waits for the system
            arguments = (threading.main_thread().ident, signal.SIGINT)
            self.timer = threading.Timer(self.repeat_s, signal.pthread_kill, arguments)
        self.timer.daemon = True
        self.timer.start()
        raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the signal.

        Raises:
            KeyboardInterrupt: an interrupt was swallowed, and what runs inside has ended in another way.
        """
        self.timer.cancel()
        if self.is_ours and signal.getsignal(signal.SIGINT) == self.heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.was_heard and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
