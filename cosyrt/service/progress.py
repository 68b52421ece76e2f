"""Whether the model still answers: a call that hangs in the plain model holds everybody, and nothing ends it.

Each request has its own deadline and is told; but whoever sends requests on should go elsewhere, and whoever
watches the process should start it again. So the service says that it is not ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cosyrt.engine.scheduler import Load

HUNG_S = 180.0  # without a turn: a large model on a slow processor may take a minute for one


class Progress:
    """Notes, whenever it is asked, since when the scheduler has had work and finished none of it."""

    def __init__(self, load: Callable[[], Load], clock: Callable[[], float] = time.monotonic) -> None:
        self._load, self._clock = load, clock
        self._turns, self._since = -1, clock()

    def problem(self) -> str:
        """Why nothing can be expected of the model; empty while it works or rests."""
        load, now = self._load(), self._clock()
        if load.turns != self._turns or load.active == load.parked:
            self._turns, self._since = load.turns, now
        hung_s = now - self._since
        return f"the model has not answered for {hung_s:.0f} s" if hung_s > HUNG_S else ""
