"""Threads of this library that a test has started, whatever tests before it have left to wait."""

from __future__ import annotations

import threading


class Started:
    """Tells which threads have been started since this was made, or last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Take all threads that there are now for somebody else's."""
        self._earlier = set(threading.enumerate())

    def __call__(self, name: str = "cosyrt") -> set[threading.Thread]:
        """Threads that have been started and not ended, those with a name that begins so."""
        alive = set(threading.enumerate()) - self._earlier
        return {each for each in alive if each.name.startswith(name)}
