"""The seam between those who ask for speech and those who schedule it, on this machine or on others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from cosyrt.engine.request import Request
from cosyrt.engine.ticket import Ticket

if TYPE_CHECKING:
    from cosyrt.engine.scheduler import Load


class SpeechScheduler(Protocol):
    """Speaks the requests of many at once: `Scheduler` does on this machine, a cluster on several."""

    def submit(self, request: Request, *, key: str = "") -> Ticket:
        """Take a request in, from any thread; those with another key are served in turn.

        What is found wrong with it here is raised, what is found elsewhere ends the ticket.

        Raises:
            Busy: as many wait as may wait; it says when to come back. CosyrtError: it cannot be spoken.
        """

    def load(self) -> Load:
        """What there is to do at the moment."""

    def forget(self, digest: str) -> None:
        """Keep nothing of the voice of that content; what is speaking with it goes on."""

    def close(self) -> None:
        """Admit nothing more, and cancel what was admitted."""


async def submitted(scheduler: SpeechScheduler, request: Request, key: str) -> Ticket:
    """Hand a request to a scheduler, which checks it, in a thread; whoever leaves meanwhile takes it back.

    Raises:
        CosyrtError: it was refused.
    """
    task = asyncio.create_task(asyncio.to_thread(scheduler.submit, request, key=key))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_take_back)
        raise


def _take_back(task: asyncio.Task[Ticket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().cancel()
