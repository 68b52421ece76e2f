"""Many requests on one model: one thread owns the device, admits what it can serve, and refuses the rest.

    submit → queue → active → a turn for each → audio for its reader

Requests join and leave between turns. Nobody waits for a reader: its audio is kept up to a limit, and a
stream beyond it is parked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.schedule import MovingAverage
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.errors import Busy, DeadlineError

log = logging.getLogger(__name__)

CHARACTER_S, SECOND_S = 0.07, 0.2  # audio of a character, work of a second of audio: until they are measured
UNKNOWN_CHARACTERS = 200  # of a text that is still being written
LEAST_WAIT_S, STOPPING_S = 0.1, 10.0  # before a request that was refused comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """How many requests are served at once, and how many wait."""

    max_active: int = 10
    max_queue: int = 10
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
    done: int
    failed: int
    cancelled: int
    refused: int


@dataclass(slots=True, eq=False)
class _Speaking:
    """An active request."""

    ticket: Ticket
    audio: Generator[Audio, None, None]


class Scheduler:
    """Serves the requests of many at once; a context manager that cancels what is left.

    Only its thread runs the model while there are requests.
    """

    def __init__(self, pipeline: Pipeline, config: SchedulerConfig = SchedulerConfig()) -> None:
        self.pipeline, self.config = pipeline, config
        self._lock = threading.Lock()  # of the queue and the counts
        self._woken = threading.Event()
        self._queue: deque[Ticket] = deque()
        self._active: deque[_Speaking] = deque()  # changed by the worker alone
        self._draining = self._closed = False
        self._ended = dict.fromkeys((TicketState.DONE, TicketState.FAILED, TicketState.CANCELLED), 0)
        self._refused = 0
        self._audio_s = self._busy_s = 0.0
        self._character_s = MovingAverage(CHARACTER_S)
        self._second_s = MovingAverage(SECOND_S)
        self._idle = threading.Event()
        self._idle.set()
        self._worker = threading.Thread(target=self._run, name="cosyrt-scheduler", daemon=True)
        self._worker.start()

    def submit(self, request: Request, *, key: str = "") -> Ticket:
        """Take a request in, from any thread; those with another key are served in turn.

        Raises:
            Busy: as many wait as may wait, or the scheduler is being stopped; it says when to come back.
            CosyrtError: the request cannot be spoken, as `Pipeline.prepare` says.
        """
        self._refuse_if_full()  # before the work of checking
        self.pipeline.prepare(request)
        ticket = Ticket(request, key, self._woken.set)
        with self._lock:
            self._refuse_if_full()
            self._queue.append(ticket)
            self._idle.clear()
        self._woken.set()
        return ticket

    def _refuse_if_full(self) -> None:
        config, active, queued = self.config, len(self._active), len(self._queue)
        if self._draining:
            self._refused += 1
            raise Busy(f"no more requests are taken; come back in {STOPPING_S:g} s", STOPPING_S)
        if active + queued >= config.max_active + config.max_queue:
            self._refused += 1
            wait_s = max(LEAST_WAIT_S, self._wait_s())
            raise Busy(f"{active} requests are spoken, {queued} wait; come back in {wait_s:.1f} s", wait_s)

    def drain(self, timeout_s: float | None = None) -> bool:
        """Admit nothing more and wait until all that was admitted has ended; whether it has in time."""
        with self._lock:
            self._draining = True
        return self._idle.wait(timeout_s)

    def close(self) -> None:
        """Admit nothing more, cancel what was admitted, and wait for the worker to end."""
        with self._lock:
            self._draining = self._closed = True
        self._woken.set()
        self._worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def load(self) -> Load:
        """What there is to do at the moment."""
        with self._lock:
            active = [each.ticket for each in self._active]
            return Load(
                active=len(active),
                parked=sum(each.state is TicketState.PARKED for each in active),
                queued=len(self._queue),
                max_active=self.config.max_active,
                max_queue=self.config.max_queue,
                draining=self._draining,
                wait_s=self._wait_s(),
                unread_s=sum(each.unread_s for each in active),
                audio_s=self._audio_s,
                busy_s=self._busy_s,
                done=self._ended[TicketState.DONE],
                failed=self._ended[TicketState.FAILED],
                cancelled=self._ended[TicketState.CANCELLED],
                refused=self._refused,
            )

    def _wait_s(self) -> float:
        """Seconds of work in the queue."""
        return sum(map(self._expected_s, self._queue)) * self._second_s.value

    def _expected_s(self, ticket: Ticket) -> float:
        """Audio that a request will be."""
        text, recording = ticket.request.text, ticket.request.recording
        if recording is not None:
            return recording.seconds
        characters = len(text) if isinstance(text, str) else UNKNOWN_CHARACTERS
        return characters * self._character_s.value / ticket.request.speed

    # The worker's thread:

    def _run(self) -> None:
        while not self._closed:
            self._woken.clear()
            self._settle()
            self._admit()
            if not self._turn():
                self._woken.wait(self._until_deadline())
        for ticket in self._tickets():
            ticket.cancel()
        self._settle()

    def _tickets(self) -> list[Ticket]:
        """All that have not been let go, active ones first."""
        with self._lock:
            return [*(each.ticket for each in self._active), *self._queue]

    def _turn(self) -> bool:
        """Make one chunk for whoever waits longest; whether there was anything to do."""
        speaking = next((each for each in self._active if self._may_go_on(each.ticket)), None)
        if speaking is None:
            return False
        with self._lock:
            self._active.remove(speaking)
            self._active.append(speaking)
        self._advance(speaking)
        return True

    def _may_go_on(self, ticket: Ticket) -> bool:
        """Whether the reader has room for more; else the stream is parked."""
        parked = ticket.unread_s >= self.config.queued_audio_s
        ticket.move(TicketState.PARKED if parked else TicketState.ACTIVE)
        return not parked

    def _advance(self, speaking: _Speaking) -> None:
        """Make the next chunk of one request; an error ends it and nothing else."""
        began, ticket = time.monotonic(), speaking.ticket
        try:
            audio = next(speaking.audio, None)
        except Exception as error:
            ticket.end(TicketState.FAILED, error)
            return
        took = time.monotonic() - began
        self._busy_s += took
        if audio is None:
            self._learn_length(ticket)
            ticket.end(TicketState.DONE)
            return
        ticket.give(audio)
        self._audio_s += audio.seconds
        self._second_s.add(took / audio.seconds)

    def _learn_length(self, ticket: Ticket) -> None:
        """Note how long the audio of a text was."""
        text = ticket.request.text
        if isinstance(text, str) and text:
            self._character_s.add(ticket.audio_s * ticket.request.speed / len(text))

    def _admit(self) -> None:
        with self._lock:
            while self._queue and len(self._active) < self.config.max_active:
                ticket = self._queue.popleft()
                ticket.move(TicketState.ACTIVE)
                audio = self.pipeline.run(ticket.request, ticket.pieces.append)
                self._active.append(_Speaking(ticket, audio))

    def _settle(self) -> None:
        """Let go of all requests that have ended."""
        now = time.monotonic()
        for ticket in self._tickets():
            if _due(ticket) <= now:
                late = f"the request was not over {ticket.request.deadline:g} s after it was made"
                ticket.end(TicketState.FAILED, DeadlineError(late))
        with self._lock:
            over = [each for each in self._active if each.ticket.ended]
            self._active = deque(each for each in self._active if not each.ticket.ended)
            left = [ticket for ticket in self._queue if ticket.ended]
            self._queue = deque(ticket for ticket in self._queue if not ticket.ended)
            for ticket in (*(each.ticket for each in over), *left):
                self._ended[ticket.state] += 1
            if not self._active and not self._queue:
                self._idle.set()
        for each in over:
            _close(each)

    def _until_deadline(self) -> float | None:
        """Seconds until a request runs into its deadline; None: no request has one."""
        due = min(map(_due, self._tickets()), default=inf)
        return None if due == inf else max(0.0, due - time.monotonic())


def _due(ticket: Ticket) -> float:
    """When the request must be over."""
    return inf if ticket.request.deadline is None else ticket.submitted + ticket.request.deadline


def _close(speaking: _Speaking) -> None:
    """Stop the work of a request; its text may raise, which nobody is left to be told."""
    try:
        speaking.audio.close()
    except Exception:
        log.warning("stopping a request failed", exc_info=True)
