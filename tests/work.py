"""Work that a call does, counted in calls and characters: the same on every machine, however busy it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class WorkCounter:
    """Counts calls, and for those that look through text its characters: methods of str, patterns, encoders.

    What a pattern, an encoder or another function written in C is given is not known: the longest text of the
    caller's variables stands for it.
    """

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note one event of `sys.setprofile`."""
        if event == "call":
            self.done += 1
        elif event == "c_call":
            owner = getattr(argument, "__self__", None)
            self.done += 1 + (len(owner) if isinstance(owner, str) else self._read(owner, frame))

    @staticmethod
    def _read(owner: object, frame: FrameType) -> int:
        reads = isinstance(owner, re.Pattern) or type(owner).__module__ == "tokenizers"
        texts = [value for value in frame.f_locals.values() if isinstance(value, str)] if reads else []
        return max(map(len, texts), default=0)


def work_of(call: Callable[[], object]) -> int:
    """The work of a call."""
    counter, before = WorkCounter(), sys.getprofile()
    sys.setprofile(counter)
    try:
        call()
    finally:
        sys.setprofile(before)
    return counter.done
