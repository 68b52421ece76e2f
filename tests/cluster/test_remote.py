"""A scheduler whose models are elsewhere does what a local one does, and is honest when they go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.cluster.remote import LinkBroken, RemoteScheduler
from cosyrt.cluster.replica import End, Part
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Load, Scheduler
from cosyrt.engine.ticket import TicketState
from cosyrt.errors import Busy, Cancelled, DeadlineError, ReplicaLost, SpeechError, UsageError, VoiceNotFound
from tests.cluster.links import NearLink
from tests.service.served import wait_until
from tests.threads import Started

TEXT = "One piece. Another."
LONG = " ".join([TEXT] * 6)


def test_it_speaks_as_a_local_scheduler_does(remote: RemoteScheduler, tiny: Pipeline) -> None:
    """The samples are the same to the last bit, in the same parts, with the same pieces."""
    request = Request(text=TEXT, seed=3, streamed=True)
    with Scheduler(tiny) as local:
        near = local.submit(request)
        expected = list(near)
    far = remote.submit(request)
    found = list(far)

    assert [len(each.samples) for each in found] == [len(each.samples) for each in expected]
    assert np.array_equal(Audio.join(found).samples, Audio.join(expected).samples)
    assert far.pieces == near.pieces and far.state is TicketState.DONE


def test_a_replica_that_is_lost_ends_its_stream_with_the_piece(
    remote: RemoteScheduler, link: NearLink
) -> None:
    """What was heard is not taken for whole: the error names the piece; other replicas go on."""
    link.breaks_after = 2
    ticket = remote.submit(Request(text=LONG, streamed=True))
    heard = []
    with pytest.raises(ReplicaLost, match=r"went away in piece \d+ of the text, after \d") as lost:
        for audio in ticket:
            heard.append(audio)

    assert len(heard) == 2 and lost.value.piece == len(ticket.pieces) + 1
    assert list(remote.submit(Request(text=TEXT)))
    assert remote.load().failed == 1


def test_before_its_first_audio_another_replica_takes_over(remote: RemoteScheduler, link: NearLink) -> None:
    """Nothing was said yet, so nobody notices."""
    link.breaks_after = 0
    assert Audio.join(remote.submit(Request(text=TEXT, seed=1))).seconds > 0
    assert len(link.replicas) == 1


def test_without_replicas_a_request_is_refused_with_a_time(remote: RemoteScheduler, link: NearLink) -> None:
    """While they are started again, clients are told when to come back."""
    link.replicas.clear()
    wait_until(lambda: not remote.replicas)
    with pytest.raises(Busy, match="no replica is running") as busy:
        remote.submit(Request(text=TEXT))
    assert busy.value.retry_after_s >= 1


def test_a_request_that_loses_the_last_replica_is_given_back(remote: RemoteScheduler, link: NearLink) -> None:
    """The client is told to come back, rather than kept waiting."""
    link.replicas.clear()
    with pytest.raises(Busy, match="no replica is running"):
        list(remote.submit(Request(text=TEXT)))


def test_a_link_that_breaks_twice_gives_the_request_back(tiny: Pipeline) -> None:
    """A request that two replicas have lost is not tried on a third."""
    link = Breaking()
    with RemoteScheduler(link, tiny.sample_rate) as scheduler, pytest.raises(Busy, match="before it spoke"):
        list(scheduler.submit(Request(text=TEXT)))
    assert link.asked == 2


def test_replicas_that_others_have_filled_say_when_to_come_back(tiny: Pipeline) -> None:
    """A link that is refused does not know for how long; what the replicas have to do says it."""
    link = Refusing()
    with RemoteScheduler(link, tiny.sample_rate) as scheduler:
        with pytest.raises(Busy, match="every replica is full") as busy:
            list(scheduler.submit(Request(text=TEXT)))
        assert busy.value.retry_after_s == link.room[0].wait_s


def test_requests_that_wait_are_given_back_when_no_replica_answers(tiny: Pipeline) -> None:
    """Clients that have heard nothing yet are told to come back, and the way to the replicas is let go."""
    link = Hanging()
    with RemoteScheduler(link, tiny.sample_rate) as scheduler:
        waiting = scheduler.submit(Request(text=TEXT))
        wait_until(lambda: link.asked == 1)
        link.room = []
        with pytest.raises(Busy, match="no replica is running") as busy:
            list(waiting)
        assert busy.value.retry_after_s >= 1
        wait_until(lambda: scheduler.load().failed == 1)
        assert link.left == 1


def test_no_more_than_the_replicas_hold(remote: RemoteScheduler) -> None:
    """As many are taken at once as both replicas hold; the rest is told when to come back."""
    taken, refused = [], 0
    for _ in range(9):
        try:
            taken.append(remote.submit(Request(text=LONG, streamed=True)))
        except Busy as busy:
            refused += 1
            assert busy.retry_after_s > 0
    assert (len(taken), refused, remote.load().refused) == (6, 3, 3)
    for ticket in taken:
        ticket.cancel()


def test_what_a_replica_refuses_is_raised_to_the_reader(remote: RemoteScheduler) -> None:
    """The kind of the error is kept on the way."""
    with pytest.raises(VoiceNotFound):
        list(remote.submit(Request(text=TEXT, voice="nobody")))


def test_cancelling_reaches_the_replica(remote: RemoteScheduler, link: NearLink) -> None:
    """The scheduler there has nothing more to do."""
    there = link.replicas[0].scheduler
    before = there.load().cancelled
    ticket = remote.submit(Request(text=LONG, streamed=True))
    next(ticket)
    ticket.cancel()
    wait_until(lambda: there.load().active == 0 and not remote.load().active)

    assert there.load().cancelled == before + 1
    with pytest.raises(Cancelled):
        next(ticket)


def test_cancelled_at_once(remote: RemoteScheduler) -> None:
    """A ticket that is cancelled before anything began leaves nothing behind."""
    for number in range(1, 20):
        remote.submit(Request(text=TEXT)).cancel()
        wait_until(lambda number=number: remote.load().cancelled == number)


def test_a_text_in_parts_is_refused(remote: RemoteScheduler) -> None:
    """A generator cannot be sent to another machine."""
    with pytest.raises(UsageError, match="whole texts"):
        remote.submit(Request(text=iter(["One."])))


def test_a_deadline_holds_where_a_replica_hangs(tiny: Pipeline) -> None:
    """A machine that says nothing any more keeps nobody waiting for ever."""
    with RemoteScheduler(Hanging(), tiny.sample_rate) as scheduler, pytest.raises(DeadlineError):
        list(scheduler.submit(Request(text=TEXT, deadline=0.05)))


def test_a_bug_of_a_link_ends_the_stream(tiny: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """The reader is told, and the log has the traceback."""
    with RemoteScheduler(Broken(), tiny.sample_rate) as scheduler, pytest.raises(SpeechError, match="ouch"):
        list(scheduler.submit(Request(text=TEXT)))
    assert any(record.exc_info for record in caplog.records)


def test_closing_cancels_and_leaves_no_thread(link: NearLink, tiny: Pipeline) -> None:
    """Readers are told, and the loop has ended."""
    started = Started()
    with RemoteScheduler(link, tiny.sample_rate) as scheduler:
        ticket = scheduler.submit(Request(text=LONG, streamed=True))
        next(ticket)
    with pytest.raises(Cancelled):
        next(ticket)
    with pytest.raises(Busy, match="no more requests"):
        scheduler.submit(Request(text=TEXT))
    assert not started("cosyrt-cluster")


def test_a_replica_that_is_slow_to_answer_is_not_lost(tiny: Pipeline) -> None:
    """What waits for it goes on waiting, and as many are admitted as before."""
    link = Slow()
    with RemoteScheduler(link, tiny.sample_rate) as scheduler:
        waiting = scheduler.submit(Request(text=TEXT))
        link.looks = 0
        wait_until(lambda: link.looks >= 2)
        assert scheduler.replicas == 1 and not waiting.ended


def test_closing_waits_for_a_look_that_is_under_way(tiny: Pipeline) -> None:
    """Whatever a link has to put in order when it is cancelled is done before the loop ends."""
    link = Tidy()
    with RemoteScheduler(link, tiny.sample_rate):
        wait_until(lambda: link.looks == 2)
    assert link.tidied


def test_a_voice_is_forgotten_everywhere(remote: RemoteScheduler, link: NearLink) -> None:
    """The link is told of it."""
    remote.forget("a" * 32)
    assert link.forgotten == ["a" * 32]


class Hanging(NearLink):
    """A replica that takes a request and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.room = [ROOM]
        self.asked = self.left = 0  # requests, and those whose asker went away

    async def loads(self) -> list[Load]:
        return self.room

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        self.asked += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.left += 1
            raise
        yield End()


class Slow(Hanging):
    """A replica that tells its load once, and is too busy from then on."""

    looks = 0

    async def loads(self) -> list[Load]:
        self.looks += 1
        if self.looks > 1 or self.asked:
            raise TimeoutError
        return self.room


class Tidy(Hanging):
    """A link that hangs in its second look, and takes its time to end it."""

    looks, tidied = 0, False

    async def loads(self) -> list[Load]:
        self.looks += 1
        if self.looks > 1:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.05)
                self.tidied = True
        return self.room


class Breaking(Hanging):
    """Replicas of which each is lost as soon as it is asked."""

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        self.asked += 1
        raise LinkBroken("it was killed")
        yield End()


class Refusing(Hanging):
    """Replicas that take nothing more, with two seconds of work before them."""

    def __init__(self) -> None:
        super().__init__()
        self.room = [replace(ROOM, wait_s=2.0)]

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        raise Busy("no replica takes it", 60.0)
        yield End()


class Broken(Hanging):
    """A link with a bug."""

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        raise ZeroDivisionError("ouch")
        yield End()


ROOM = Load(
    active=0, parked=0, queued=0, max_active=1, max_queue=0, draining=False, wait_s=0.0, unread_s=0.0,
    audio_s=0.0, busy_s=0.0, turns=0, misprediction=0.0, done=0, failed=0, cancelled=0, refused=0,
)  # fmt: skip
