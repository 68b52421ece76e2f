"""Whether a thread is in the middle of a collection of garbage: what is closed by one waits for nobody.

A collection begins anywhere, in any thread: where it is one of those that would be waited for, or holds a
lock that they need, waiting would never end.
"""

from __future__ import annotations

import gc
from threading import get_ident

_collecting = set[int]()  # threads


def watch_collections() -> None:
    """Take notice of collections from now on."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)


def is_collecting() -> bool:
    """Whether this thread collects garbage at the moment."""
    return get_ident() in _collecting


def _note(phase: str, info: dict[str, int]) -> None:
    if phase == "start":
        _collecting.add(get_ident())
    else:
        _collecting.discard(get_ident())
