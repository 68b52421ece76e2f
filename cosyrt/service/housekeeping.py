"""What is done every minute, whoever asks for what: voices end with their consent, old records are deleted.

Each task goes by itself: one that fails is logged and tried again a minute later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from cosyrt.errors import CosyrtError, reason_of

log = logging.getLogger(__name__)

EVERY_S = 60.0


class Housekeeper:
    """Runs named tasks in a thread, every minute and when it is told to; also a context manager."""

    def __init__(self, tasks: Mapping[str, Callable[[], object]], *, every_s: float = EVERY_S) -> None:
        self._tasks, self._every_s = dict(tasks), every_s
        self._wake, self._closing = threading.Event(), False
        self.failing: dict[str, str] = {}  # the tasks that failed at their last attempt, and why
        self._thread = threading.Thread(target=self._run, name="cosyrt-housekeeping", daemon=True)

    def soon(self) -> None:
        """Do all tasks now, not only when the minute is over."""
        self._wake.set()

    def tidy(self) -> None:
        """Do all tasks once."""
        for name, task in self._tasks.items():
            try:
                task()
                self.failing.pop(name, None)
            except CosyrtError as error:
                if name not in self.failing:
                    log.warning("%s failed: %s; tried again every minute", name, reason_of(error))
                self.failing[name] = reason_of(error)

    def __enter__(self) -> Housekeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._every_s)
            self._wake.clear()
            if self._closing:
                return
            self.tidy()
