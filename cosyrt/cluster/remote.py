"""A scheduler whose models are elsewhere: `submit` gives the ticket that a local one would, a link fills it.

    submit → ticket ← pump ← link → replica

One thread runs an event loop for all streams. A replica that goes away ends its streams with `ReplicaLost`,
which names the piece of the text; a request that has no audio yet is given to another replica instead.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Protocol, Self

from cosyrt.arguments import check_kind
from cosyrt.audio import Audio
from cosyrt.cluster.replica import End, Part
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import LEAST_WAIT_S, STOPPING_S, Load
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.errors import (
    Busy,
    Cancelled,
    CosyrtError,
    DeadlineError,
    ReplicaLost,
    SpeechError,
    UsageError,
    kind_and_reason,
)

log = logging.getLogger(__name__)

POLL_S = 1.0  # between two looks at the replicas
START_S = 10.0  # until a replica that is being started may speak
ATTEMPTS = 2  # of a request that has no audio yet


class LinkBroken(Exception):
    """The replica that was speaking a request cannot be reached any more."""


class Link(Protocol):
    """The way to the replicas. All is called in one event loop."""

    def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        """Let a replica speak; closing the generator cancels the work there.

        Raises:
            Busy: none takes more work. LinkBroken: the replica went away.
        """

    async def loads(self) -> list[Load]:
        """What each replica that can be reached has to do.

        Raises:
            TimeoutError: one did not answer in time; it may be busy, and nothing is known of it.
        """

    async def forget(self, digest: str) -> None:
        """Let every replica keep nothing of a voice."""


class RemoteScheduler:
    """Speaks requests by replicas in other processes; a context manager that cancels what is left."""

    def __init__(self, link: Link, sample_rate: int) -> None:
        self.link, self.sample_rate = link, sample_rate
        self._lock = threading.Lock()  # of the streams and counts
        self._streams: dict[Ticket, asyncio.Task[None] | None] = {}
        self._counts = Counter[TicketState]()
        self._refused = 0
        self._replicas: list[Load] = []
        self._draining = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cosyrt-cluster", daemon=True)
        self._thread.start()
        self._call(self._look())
        self._watching = asyncio.run_coroutine_threadsafe(self._started(), self._loop).result()

    def submit(self, request: Request, *, key: str = "") -> Ticket:
        """Take a request in, from any thread; a replica checks it, and what is wrong ends the ticket.

        Raises:
            Busy: as many are spoken and wait as may, or no replica runs; it says when to come back.
            UsageError: a text that arrives in parts, which cannot be sent on.
        """
        check_kind(request, Request, "the request", "give a Request")
        if request.recording is None and not isinstance(request.text, str):
            raise UsageError("a cluster takes whole texts; give a str")
        ticket = Ticket(request, key, lambda: self._stop_if_over(ticket))
        with self._lock:
            self._refuse_if_full()
            self._streams[ticket] = None
        self._loop.call_soon_threadsafe(self._begin, ticket)
        return ticket

    def load(self) -> Load:
        """What this gateway has to do; time and audio are those of all replicas."""
        replicas = self._replicas
        with self._lock:
            states = Counter(ticket.state for ticket in self._streams)
            unread_s = sum(ticket.unread_s for ticket in self._streams)
        return Load(
            active=states[TicketState.ACTIVE],
            parked=0,
            queued=states[TicketState.QUEUED],
            max_active=sum(each.max_active for each in replicas),
            max_queue=sum(each.max_queue for each in replicas),
            draining=self._draining,
            wait_s=self._wait_s(),
            unread_s=unread_s,
            audio_s=sum(each.audio_s for each in replicas),
            busy_s=sum(each.busy_s for each in replicas),
            turns=sum(each.turns for each in replicas),
            misprediction=sum(each.misprediction for each in replicas) / max(1, len(replicas)),
            done=self._counts[TicketState.DONE],
            failed=self._counts[TicketState.FAILED],
            cancelled=self._counts[TicketState.CANCELLED],
            refused=self._refused,
        )

    @property
    def replicas(self) -> int:
        """Replicas that answered when they were last asked."""
        return len(self._replicas)

    def forget(self, digest: str) -> None:
        """Let every replica keep nothing of the voice of that content."""
        self._call(self.link.forget(digest))

    def close(self) -> None:
        """Admit nothing more, cancel what was admitted, and end the loop."""
        with self._lock:
            self._draining = True
            tickets = list(self._streams)
        for ticket in tickets:
            ticket.end(
                TicketState.CANCELLED, Cancelled("the request was cancelled: the scheduler was closed")
            )
        self._call(self._settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _refuse_if_full(self) -> None:
        room = sum(each.max_active + each.max_queue for each in self._replicas)
        if not self._draining and len(self._streams) < room:
            return
        self._refused += 1
        if self._draining:
            raise Busy(f"no more requests are taken; come back in {STOPPING_S:g} s", STOPPING_S)
        raise self._full()

    def _full(self) -> Busy:
        """Why nothing more can be taken, and when that should change."""
        if not self._replicas:
            return _none_runs()
        wait_s = max(LEAST_WAIT_S, self._wait_s())
        return Busy(f"every replica is full; come back in {wait_s:.1f} s", wait_s)

    def _wait_s(self) -> float:
        """Seconds of work in the shortest queue."""
        return min((each.wait_s for each in self._replicas), default=START_S)

    # In the loop:

    async def _started(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Look at the replicas for as long as this lives."""
        while True:
            await asyncio.sleep(POLL_S)
            await self._look()

    async def _look(self) -> None:
        before = self._replicas
        try:
            self._replicas = await self.link.loads()
        except TimeoutError:  # a replica that is slow is not lost: what was last known holds
            return
        except Exception:  # whatever it is, nothing is admitted until the replicas answer again
            log.exception("the replicas cannot be asked")
            self._replicas = []
        if not self._replicas:
            if before:
                log.warning("no replica answers; requests are refused until one does")
            self._give_back()

    def _give_back(self) -> None:
        """End the requests that were not spoken yet, so that their clients come back instead of waiting."""
        with self._lock:
            queued = [ticket for ticket in self._streams if ticket.state is TicketState.QUEUED]
        for ticket in queued:
            ticket.end(TicketState.FAILED, _none_runs())

    def _begin(self, ticket: Ticket) -> None:
        if ticket.ended:  # before there was a task that could be stopped
            self._let_go(ticket)
            return
        task = self._loop.create_task(self._pump(ticket))
        with self._lock:
            self._streams[ticket] = task

    def _let_go(self, ticket: Ticket) -> None:
        with self._lock:
            self._streams.pop(ticket)
            self._counts[ticket.state] += 1

    def _stop_if_over(self, ticket: Ticket) -> None:
        """Stop the work of a ticket that has ended before its audio did; called from any thread."""
        task = self._streams.get(ticket)
        if ticket.ended and task is not None:
            self._loop.call_soon_threadsafe(task.cancel)

    async def _settled(self) -> None:
        """Look no more, and wait until that and the work of all streams has been stopped."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        while self._streams:
            tasks = [task for task in self._streams.values() if task is not None]
            await asyncio.gather(*tasks, asyncio.sleep(0), return_exceptions=True)

    async def _pump(self, ticket: Ticket) -> None:
        """Give the audio of one request to its ticket, and end it."""
        try:
            async with asyncio.timeout(ticket.request.deadline):
                end = await self._relayed(ticket)
        except TimeoutError:
            late = f"the request was not over {ticket.request.deadline:g} s after it was made"
            ticket.end(TicketState.FAILED, DeadlineError(late))
        except CosyrtError as error:
            ticket.end(TicketState.FAILED, error)
        except Exception as error:
            log.error("a stream failed: %s", kind_and_reason(error, 300), exc_info=error)
            ticket.end(TicketState.FAILED, SpeechError(f"the replica failed: {kind_and_reason(error, 200)}"))
        else:
            if end.error is None:
                ticket.end(TicketState.DONE)
            else:
                ticket.end(TicketState.FAILED, end.error)
        finally:
            self._let_go(ticket)

    async def _relayed(self, ticket: Ticket) -> End:
        """Relay a request until its end; where it has no audio yet, by another replica if need be.

        Raises:
            ReplicaLost: the replica went away.
        """
        attempts = 0
        while True:
            try:
                return await self._relay(ticket)
            except Busy as full:  # other gateways fill the replicas, too; the link does not know for how long
                await self._look()
                raise self._full() from full
            except LinkBroken as broken:
                log.warning("a replica was lost: %s", broken)
                attempts += 1
                await self._look()
                if ticket.audio_s:
                    raise _lost(ticket) from broken
                if not self._replicas:
                    raise _none_runs() from broken
                if attempts == ATTEMPTS:
                    why = f"the replica went away before it spoke; come back in {START_S:g} s"
                    raise Busy(why, START_S) from broken

    async def _relay(self, ticket: Ticket) -> End:
        async with aclosing(self.link.speak(ticket.request, ticket.key)) as parts:
            async for part in parts:
                ticket.pieces.extend(part.pieces)
                if isinstance(part, End):
                    return part
                ticket.move(TicketState.ACTIVE)
                ticket.give(Audio(part.samples, self.sample_rate), part.gap_s)
        raise LinkBroken("its stream ended in the middle")


def _none_runs() -> Busy:
    return Busy(f"no replica is running at the moment; come back in {START_S:g} s", START_S)


def _lost(ticket: Ticket) -> ReplicaLost:
    number = len(ticket.pieces) + 1
    return ReplicaLost(
        f"the replica that was speaking went away in piece {number} of the text, "
        f"after {ticket.audio_s:.1f} s of audio; ask again",
        number,
    )
