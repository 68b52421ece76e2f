"""Every request ends exactly once, whatever its reader and its writer do, and nothing of it is left.

A state machine over submit, read, cancel, fail and a reader that does not read: on stages that cost nothing,
and once on the built-in voice.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

import cosyrt
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.ticket import ENDS, Ticket, TicketState
from tests.engine.quick import quick

CONFIG = SchedulerConfig(max_active=3, max_queue=2, queued_audio_s=0.5, max_wait_s=0.3, workers=2)
PLACES = st.integers(0, 99)  # of a ticket, counted round: how many there are depends on time
TEXTS = ["Hello there.", "Yes. No. Perhaps, but not today.", "It is late."]


def failing(text: str) -> Iterator[str]:
    yield f"{text} "
    raise KeyError("the writer failed")


class Crowd(RuleBasedStateMachine):
    """What callers may do to a scheduler, in any order."""

    tts: Pipeline  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(self.tts, CONFIG)
        self.tickets: list[Ticket] = []
        self.ends: dict[str, TicketState] = {}
        self.refused = 0

    def submit(self, request: Request, key: str) -> None:
        try:
            self.tickets.append(self.scheduler.submit(request, key=key))
        except cosyrt.Busy as busy:
            assert busy.retry_after_s > 0
            self.refused += 1

    @rule(text=st.sampled_from(TEXTS), key=st.sampled_from("ab"), streamed=st.booleans(), exact=st.booleans())
    def speak(self, text: str, key: str, streamed: bool, exact: bool) -> None:
        self.submit(Request(text=text, streamed=streamed, exact=exact, seed=len(self.tickets)), key)

    @rule(text=st.sampled_from(TEXTS), key=st.sampled_from("ab"))
    def speak_what_fails(self, text: str, key: str) -> None:
        self.submit(Request(text=failing(text), streamed=True), key)

    @rule(text=st.sampled_from(TEXTS))
    def speak_in_no_time(self, text: str) -> None:
        self.submit(Request(text=text, streamed=True, deadline=0.001), "")

    @rule(place=PLACES)
    def read(self, place: int) -> None:
        for ticket in self.tickets[place % (len(self.tickets) or 1) :][:1]:
            self.read_one(ticket)

    def read_one(self, ticket: Ticket) -> None:
        try:
            assert next(ticket).seconds > 0
        except StopIteration:
            assert ticket.state is TicketState.DONE
        except (cosyrt.Busy, cosyrt.Cancelled, cosyrt.DeadlineError, KeyError) as error:
            assert ticket.state is (
                TicketState.CANCELLED if isinstance(error, cosyrt.Cancelled) else TicketState.FAILED
            )

    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        for ticket in self.tickets[place % (len(self.tickets) or 1) :][:1]:
            ticket.cancel()

    @invariant()
    def bounds_hold(self) -> None:
        """No more are active and waiting than may be, and an end is for ever."""
        load = self.scheduler.load()
        assert load.active <= CONFIG.max_active
        assert load.active + load.queued <= CONFIG.max_active + CONFIG.max_queue
        for ticket in self.tickets:
            if ticket.ended:
                assert self.ends.setdefault(ticket.id, ticket.state) is ticket.state

    def teardown(self) -> None:
        """Half of them are read to their end, the rest is cancelled by closing: nothing is left of any."""
        for ticket in self.tickets[::2]:
            while not ticket.ended or ticket.unread_s:
                self.read_one(ticket)
        self.scheduler.close()
        load = self.scheduler.load()
        assert all(ticket.state in ENDS for ticket in self.tickets)
        assert load.done + load.failed + load.cancelled == len(self.tickets)
        assert (load.active, load.queued, load.refused) == (0, 0, self.refused)
        assert not self.scheduler._rows.taken and self.scheduler._rows.bytes == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_request_ends_once_and_leaves_nothing(tiny: Pipeline) -> None:
    """Rows and bytes return to zero after any sequence of what callers do."""
    Crowd.tts = quick(tiny)
    run_state_machine_as_test(Crowd, settings=STATES)  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_every_request_of_the_built_in_voice_ends_once() -> None:
    """Nothing is left of any request to a model that speaks, either."""
    Crowd.tts = cosyrt.load(plan=False)
    run_state_machine_as_test(Crowd, settings=settings(STATES, max_examples=3))  # type: ignore[no-untyped-call]


STATES = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
