"""Many requests on one model: what can be served is admitted and takes turns, the rest is refused.

    submit → queue → active → a turn for one, or for several in one call → audio for their readers

A turn of a worker (workers.py): let go of what has ended, let in what waits, give out text that has arrived,
choose (schedule.py, dispatch.py), run (turns.py), and give the audio to the readers (ticket.py). Requests
join and leave between turns only. No worker waits for anybody: not for a reader, whose stream is parked when
it has enough, and not for a writer, whose text a thread reads (feed.py).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Self

from cosyrt.engine.active import Active, seeds_of
from cosyrt.engine.asynchronous import Arriving
from cosyrt.engine.dispatch import Dispatcher, Done, Turn
from cosyrt.engine.engine_rows import rows_on
from cosyrt.engine.feed import Feed, OpenFeed, ThreadFeed
from cosyrt.engine.need import Need
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.schedule import Rate, admitted, audio_until
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.engine.utterance import Kind
from cosyrt.engine.workers import Workers, workers_on
from cosyrt.errors import Busy, Cancelled, DeadlineError

log = logging.getLogger(__name__)

UNKNOWN_SYLLABLES = 60  # of a text that is still being written
LEAST_WAIT_S, STOPPING_S = 0.1, 10.0  # before a request that was refused comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """How many requests are served at once, how many wait, and for how long."""

    max_active: int = 16
    max_queue: int = 10
    max_wait_s: float = 30.0  # in the queue; then a request ends with `Busy`
    workers: int | None = None  # turns that are run at once; None: as suits the device
    queued_audio_s: float = 30.0  # audio that a ticket may hold unread before its stream is parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the scheduler has to do, and what it has done since it began."""

    active: int  # parked ones included
    parked: int
    queued: int
    max_active: int
    max_queue: int
    draining: bool  # nothing more is admitted
    wait_s: float  # until what is queued now is being spoken
    unread_s: float  # audio that was made and not read
    audio_s: float  # made so far
    busy_s: float  # time spent on it
    turns: int
    misprediction: float  # of what turns cost, as a share
    done: int
    failed: int
    cancelled: int
    refused: int


@dataclass(slots=True, eq=False)
class _Queued:
    """A request that waits, and how its text is opened once it is let in."""

    ticket: Ticket
    feed: Callable[[], Feed]


class Scheduler:
    """Serves the requests of many at once; a context manager that cancels what is left.

    Only its workers run the model while there are requests.
    """

    def __init__(self, pipeline: Pipeline, config: SchedulerConfig = SchedulerConfig()) -> None:
        self.pipeline, self.config = pipeline, config
        model = pipeline.model
        self._rows = rows_on(
            model.stages, model.settings.decoding, model.device, capacity=max(1, config.max_active)
        )
        workers = config.workers or workers_on(model.device)
        self._dispatcher = Dispatcher(
            groups_vocoder=model.device.type != "cpu", workers=workers, seeds=seeds_of(model)
        )
        self._rate = Rate()
        # Of the queue, the list of active ones and the counts; what the thread that holds it collects as
        # garbage may ask for it again.
        self._lock = threading.RLock()
        self._idle = threading.Event()
        self._queue: list[_Queued] = []
        self._active: list[Active] = []  # changed by the workers alone, one at a time
        self._draining = False
        self._counts = Counter[TicketState]()
        self._refused = self._turns = 0
        self._audio_s = self._busy_s = self._unpaid_s = 0.0
        self._busy_since_s = 0.0  # or since time was last counted
        self._idle.set()
        self._workers = Workers(self, workers)

    def submit(self, request: Request, *, key: str = "") -> Ticket:
        """Take a request in, from any thread; those with another key are served in turn.

        A text that arrives asynchronously is asked for on the event loop that this is called on.

        Raises:
            Busy: as many wait as may wait, or the scheduler is being stopped; it says when to come back.
            CosyrtError: the request cannot be spoken, as `Pipeline.check` says.
        """
        self._refuse_if_full()  # before the work of checking
        feed = self._feed(request)
        ticket = Ticket(request, key, self._workers.wake)
        with self._lock:
            self._refuse_if_full()
            self._queue.append(_Queued(ticket, feed))
            self._idle.clear()
        self._workers.wake()
        return ticket

    def _feed(self, request: Request) -> Callable[[], Feed]:
        """How the text of a request is opened once it is let in."""
        source = self.pipeline.prepare(request)
        if source is not None and source.kind is not Kind.TOKENS:
            return partial(OpenFeed, source)
        if source is not None:
            return partial(ThreadFeed, lambda: source, self._workers.wake)
        text, arriving = request.text, None
        if isinstance(text, AsyncIterable) and (loop := _running_loop()) is not None:
            arriving = Arriving(text, loop)
            request = replace(request, text=arriving)
        return partial(ThreadFeed, partial(self.pipeline.open, request), self._workers.wake, arriving)

    def _refuse_if_full(self) -> None:
        config, active, queued = self.config, len(self._active), len(self._queue)
        if self._draining:
            self._refused += 1
            raise Busy(f"no more requests are taken; come back in {STOPPING_S:g} s", STOPPING_S)
        if active + queued >= config.max_active + config.max_queue:
            self._refused += 1
            wait_s = max(LEAST_WAIT_S, self._wait_s(max(1, queued)))
            raise Busy(f"{active} requests are spoken, {queued} wait; come back in {wait_s:.1f} s", wait_s)

    def drain(self, timeout_s: float | None = None) -> bool:
        """Admit nothing more and wait until all that was admitted has ended; whether it has in time."""
        with self._lock:
            self._draining = True
        return self._idle.wait(timeout_s)

    def forget(self, digest: str) -> None:
        """Keep nothing of the voice of that content; what is speaking with it goes on."""
        self.pipeline.conditions.forget(digest)

    def close(self) -> None:
        """Admit nothing more, cancel what was admitted, and wait for the workers to end.

        Where this is part of a collection of garbage, or done by a worker, nobody is waited for.
        """
        with self._lock:
            self._draining = True
        self._workers.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> Load:
        """What there is to do at the moment."""
        with self._lock:
            tickets = [each.ticket for each in self._active]
            errors = self._dispatcher.costs.error.values()
            return Load(
                active=len(tickets),
                parked=sum(each.state is TicketState.PARKED for each in tickets),
                queued=len(self._queue),
                max_active=self.config.max_active,
                max_queue=self.config.max_queue,
                draining=self._draining,
                wait_s=self._wait_s(len(self._queue)),
                unread_s=sum(each.unread_s for each in tickets),
                audio_s=self._audio_s,
                busy_s=self._busy_s,
                turns=self._turns,
                misprediction=sum(each.value for each in errors) / len(errors),
                done=self._counts[TicketState.DONE],
                failed=self._counts[TicketState.FAILED],
                cancelled=self._counts[TicketState.CANCELLED],
                refused=self._refused,
            )

    def _wait_s(self, places: int) -> float:
        """Seconds until so many of those that are served have ended, each followed by the next that waits.

        A stream that has not begun is made when another has ended, so it waits like those in the queue.
        """
        active, queued = [each.ticket for each in self._active], [each.ticket for each in self._queue]
        begun = [ticket for ticket in active if ticket.audio_s] or active
        waiting = [ticket for ticket in active if ticket not in begun] + queued
        served_s, waiting_s = ([self._left_s(ticket) for ticket in each] for each in (begun, waiting))
        return self._rate.work * audio_until(places, served_s, waiting_s)

    def _left_s(self, ticket: Ticket) -> float:
        """Audio that a request should still become."""
        recording = ticket.request.recording
        if recording is not None:
            return max(0.0, recording.seconds - ticket.audio_s)
        syllables = ticket.syllables or UNKNOWN_SYLLABLES
        return max(0.0, self._rate.audio_s(syllables, ticket.request.speed) - ticket.audio_s)

    # The workers, one at a time but for `run`:

    def next_turn(self) -> Turn | None:
        """Let go of what has ended, let in what waits, give out text, and choose."""
        self._settle()
        self._admit()
        if not self._dispatcher.reads:
            for each in self._active:
                self._read_text(each)
        ready = [
            each
            for each in self._active
            if not each.ticket.ended and each.may_run(self.config.queued_audio_s)
        ]
        now_s = time.monotonic()
        turn = self._dispatcher.choose(ready, now_s) if ready else None
        if turn is not None:
            if not self._dispatcher.under_way:
                self._busy_since_s = now_s
            self._dispatcher.start(turn)
        return turn

    def leaves_more(self, turn: Turn) -> bool:
        """Whether another turn may be run at once: of another request, or tokens of this one for later."""
        return len(self._active) > 1 or turn.need is not Need.READ

    def run(self, turn: Turn) -> Done:
        """Run a turn; different ones at once."""
        return self._dispatcher.run(turn)

    def finish(self, turn: Turn, done: Done) -> None:
        """Let all go on whose turn was run, and give the audio to their readers."""
        for each, error in self._dispatcher.finish(turn, done).items():
            each.ticket.end(TicketState.FAILED, error)
        now_s = time.monotonic()
        self._turns += 1
        self._pay(now_s - self._busy_since_s, sum(each.settle(now_s) for each in turn.members))
        self._busy_since_s = now_s

    def rest_s(self) -> float | None:
        """Seconds until time ends a request; None: no request has such a time."""
        ends_s = [
            min(
                _due_s(each),
                each.submitted + self.config.max_wait_s if each.state is TicketState.QUEUED else inf,
            )
            for each in self._tickets()
            if not each.ended
        ]
        return None if min(ends_s, default=inf) == inf else max(0.0, min(ends_s) - time.monotonic())

    def ended(self, error: BaseException | None) -> None:
        """End all that is left: cancelled, or failed by an error of ours."""
        with self._lock:
            self._draining = True
        closed = Cancelled("the request was cancelled: the scheduler was closed")
        state = TicketState.CANCELLED if error is None else TicketState.FAILED
        for ticket in self._tickets():
            ticket.end(state, error or closed)
        self._dispatcher.abandon()
        self._settle()

    def _pay(self, took_s: float, made_s: float) -> None:
        """Count time and the audio that came of it; learn how much time a second of audio takes."""
        self._busy_s += took_s
        self._unpaid_s += took_s
        if made_s:
            self._audio_s += made_s
            self._rate.add(self._unpaid_s, made_s)
            self._unpaid_s = 0.0

    def _admit(self) -> None:
        """Let in what waits, as far as there is room, one key after another."""
        with self._lock:
            while self._queue and self._has_room():
                active = [each.ticket.key for each in self._active]
                queued = self._queue.pop(admitted([each.ticket.key for each in self._queue], active))
                queued.ticket.move(TicketState.ACTIVE)
                self._active.append(Active(queued.ticket, queued.feed()))

    def _has_room(self) -> bool:
        """Whether one more may be served: there is memory for its row, and for what its stream keeps."""
        count = len(self._active) + 1
        if count > self.config.max_active:
            return False
        return count == 1 or self.pipeline.conditions.has_room(count, self._rows.bytes_for(count))

    def _read_text(self, active: Active) -> None:
        """Make the utterance once its text has been opened, and give it what is there of that."""
        if active.ticket.ended:
            return
        try:
            if active.utterance is None and (source := active.feed.source) is not None:
                active.utterance = self.pipeline.utterance(source, None if active.exact else self._rows)
            if active.utterance is None:
                if active.feed.ready:
                    active.feed.take()  # raises why it could not be opened
                return
            active.read_text()
            if active.utterance.need is Need.NOTHING:
                active.settle(time.monotonic())
        except BaseException as error:  # a text that comes from outside may raise anything
            active.ticket.end(TicketState.FAILED, error)

    def _settle(self) -> None:
        """Let go of all requests that have ended."""
        self._end_late_ones()
        with self._lock:
            over = [each for each in self._active if each.ticket.ended and self._dispatcher.is_free(each)]
            self._active = [each for each in self._active if each not in over]
            left = [each for each in self._queue if each.ticket.ended]
            self._queue = [each for each in self._queue if not each.ticket.ended]
            self._counts.update(each.ticket.state for each in over)
            self._counts.update(each.ticket.state for each in left)
            if not self._active and not self._queue:
                self._idle.set()
        for each in over:
            self._learn_length(each.ticket)
            _close(each)

    def _end_late_ones(self) -> None:
        now_s = time.monotonic()
        for ticket in self._tickets():
            if _due_s(ticket) <= now_s:
                late = f"the request was not over {ticket.request.deadline:g} s after it was made"
                ticket.end(TicketState.FAILED, DeadlineError(late))
            elif ticket.state is TicketState.QUEUED and now_s - ticket.submitted > self.config.max_wait_s:
                wait_s = max(LEAST_WAIT_S, self._wait_s(1))
                why = f"the request has waited {self.config.max_wait_s:g} s; come back in {wait_s:.1f} s"
                ticket.end(TicketState.FAILED, Busy(why, wait_s))

    def _learn_length(self, ticket: Ticket) -> None:
        """Note how long the audio of a text was."""
        if ticket.state is TicketState.DONE and ticket.syllables:
            self._rate.syllable_s.add(ticket.audio_s * ticket.request.speed / ticket.syllables)

    def _tickets(self) -> list[Ticket]:
        """All that have not been let go, active ones first."""
        with self._lock:
            return [*(each.ticket for each in self._active), *(each.ticket for each in self._queue)]


def _due_s(ticket: Ticket) -> float:
    """When the request must be over."""
    return inf if ticket.request.deadline is None else ticket.submitted + ticket.request.deadline


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _close(active: Active) -> None:
    """Stop the work of a request; its text may raise, which nobody is left to be told."""
    try:
        active.close()
    except Exception:
        log.warning("stopping a request failed", exc_info=True)
