"""Many requests on one model: what each hears, who is refused, and that everything ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine.active import Active
from cosyrt.engine.dispatch import Turn
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.ticket import Ticket, TicketState
from tests.engine.pipelines import SHORT, TEXT, Counted, joined, other, prompted, same
from tests.engine.quick import quick
from tests.threads import Started


class Held:
    """A stage that waits until it is let go, and says when it was called first."""

    def __init__(self, stage: object) -> None:
        self.stage, self.called, self.go = stage, threading.Event(), threading.Event()

    def __call__(self, *args: object) -> object:
        self.called.set()
        assert self.go.wait(60)
        return self.stage(*args)  # type: ignore[operator]


@pytest.fixture
def held(tiny: Pipeline) -> Iterator[Held]:
    """The `step` of the tiny model, which waits."""
    stage = Held(tiny.model.stages.step)
    yield stage
    stage.go.set()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_hears_what_it_hears_alone(tiny: Pipeline, workers: int) -> None:
    """Requests of several kinds, served at once, have the audio of `run`."""
    requests = [
        Request(text=TEXT, seed=1, streamed=True),
        Request(text=SHORT, seed=2, voice=prompted(), streamed=True),
        Request(text=f"{TEXT} {SHORT}", speed=1.5),
        Request(text=["Hello there.", " How are you?"], streamed=True),
        Request(recording=Audio(tiny.say(SHORT).samples, 24_000), streamed=True),
    ]
    with Scheduler(tiny, SchedulerConfig(workers=workers)) as scheduler:
        tickets = [scheduler.submit(request, key=str(n)) for n, request in enumerate(requests)]
        heard = [joined(ticket) for ticket in tickets]

    for request, samples in zip(requests, heard, strict=True):
        assert same(samples, joined(tiny.run(request)))
    assert {ticket.state for ticket in tickets} == {TicketState.DONE}


def test_readers_in_an_event_loop(tiny: Pipeline) -> None:
    """Two `async for` on one loop each get their own audio."""

    async def listen(ticket: Ticket) -> list[Audio]:
        return [audio async for audio in ticket]

    async def both(scheduler: Scheduler) -> list[list[Audio]]:
        tickets = [scheduler.submit(Request(text=TEXT, seed=seed, streamed=True)) for seed in (1, 2)]
        return await asyncio.gather(*map(listen, tickets))

    with Scheduler(tiny) as scheduler:
        heard = asyncio.run(both(scheduler))
    for seed, parts in zip((1, 2), heard, strict=True):
        assert same(joined(iter(parts)), joined(tiny.stream(TEXT, seed=seed)))


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (Request(text=SHORT, voice="bob"), cosyrt.VoiceNotFound, "no voice is called 'bob'"),
        (Request(text="!?"), cosyrt.TextError, "can be spoken"),
        (Request(text=SHORT, interleave=True), cosyrt.UsageError, "whole sentences"),
        (Request(text=SHORT, style=cosyrt.SpeakingStyle(instruction="Softly.")), cosyrt.UsageError, "instr"),
        (SHORT, cosyrt.UsageError, "give a Request"),
    ],
)
def test_what_cannot_be_spoken_is_refused_at_once(
    tiny: Pipeline, request_: Request, error: type[Exception], words: str
) -> None:
    """A request that must fail is told so by `submit`, before any model runs."""
    tts = other(tiny, prefill=lambda *args: pytest.fail("a model ran"))
    with Scheduler(tts) as scheduler, pytest.raises(error, match=words):
        scheduler.submit(request_)


def test_more_than_there_is_room_for_is_refused(tiny: Pipeline, held: Held) -> None:
    """One is spoken, one waits, the third is told when to come back; once there is room it is taken."""
    config = SchedulerConfig(max_active=1, max_queue=1)
    with Scheduler(other(tiny, step=held), config) as scheduler:
        tickets = [scheduler.submit(Request(text=SHORT)) for _ in range(2)]
        with pytest.raises(cosyrt.Busy, match=r"come back in \d+\.\d s") as refused:
            scheduler.submit(Request(text=SHORT))
        assert held.called.wait(60)
        load = scheduler.load()
        held.go.set()
        heard = [joined(ticket) for ticket in tickets]
        later = scheduler.submit(Request(text=SHORT))
        heard.append(joined(later))

    assert refused.value.retry_after_s > 0
    assert (load.active, load.queued, load.refused) == (1, 1, 1) and load.wait_s > 0
    assert all(same(each, heard[0], 0) for each in heard)


def test_cancelling_frees_the_place(tiny: Pipeline, held: Held) -> None:
    """A request that is cancelled while it is spoken, and one that waits, make room for others."""
    config = SchedulerConfig(max_active=1, max_queue=2)
    with Scheduler(other(tiny, step=held), config) as scheduler:
        speaking, waiting, last = (scheduler.submit(Request(text=SHORT)) for _ in range(3))
        assert held.called.wait(60)
        speaking.cancel()
        waiting.cancel()
        held.go.set()
        assert same(joined(last), tiny.say(SHORT).samples)
        assert scheduler.drain(60)
        load = scheduler.load()

    assert (load.active, load.queued, load.done, load.cancelled) == (0, 0, 1, 2)


def test_an_error_ends_one_request(tiny: Pipeline) -> None:
    """A stage that fails once ends the request that it failed for; the next one is spoken."""
    tts = other(tiny, vocode=Counted(tiny.model.stages.vocode, fail_at=1))
    with Scheduler(tts, SchedulerConfig(max_active=1)) as scheduler:
        first, second = (scheduler.submit(Request(text=SHORT)) for _ in range(2))
        with pytest.raises(ZeroDivisionError, match="a broken stage"):
            joined(first)
        assert same(joined(second), tiny.say(SHORT).samples)
        assert first.state is TicketState.FAILED


def test_a_stream_that_is_not_read_is_parked(tiny: Pipeline) -> None:
    """No more is made than the reader may hold, and all of it once the reader reads."""
    text = f"{TEXT} {TEXT}"
    with Scheduler(tiny, SchedulerConfig(queued_audio_s=0.5)) as scheduler:
        slow = scheduler.submit(Request(text=text, streamed=True))
        quick = scheduler.submit(Request(text=SHORT, streamed=True))
        joined(quick)
        while slow.state is not TicketState.PARKED:
            assert slow.state in (TicketState.QUEUED, TicketState.ACTIVE)
        assert not scheduler.drain(2)
        made = slow.audio_s
        whole = joined(slow)

    assert made < len(whole) / 24_000
    assert same(whole, joined(tiny.stream(text)))


def test_a_deadline_ends_a_request(tiny: Pipeline, held: Held) -> None:
    """A request that is not over in time ends with an error, whether it is spoken or waits."""
    config = SchedulerConfig(max_active=1)
    with Scheduler(other(tiny, step=held), config) as scheduler:
        tickets = [scheduler.submit(Request(text=SHORT, deadline=0.01)) for _ in range(2)]
        held.go.set()
        for ticket in tickets:
            with pytest.raises(cosyrt.DeadlineError, match=r"not over 0\.01 s after"):
                joined(ticket)


def test_draining_finishes_what_was_admitted(tiny: Pipeline, held: Held) -> None:
    """While it drains nothing more is taken; all that was taken comes to its end."""
    with Scheduler(other(tiny, step=held), SchedulerConfig(max_active=1)) as scheduler:
        tickets = [scheduler.submit(Request(text=SHORT)) for _ in range(2)]
        assert not scheduler.drain(0)
        with pytest.raises(cosyrt.Busy, match="no more requests are taken"):
            scheduler.submit(Request(text=SHORT))
        held.go.set()
        assert scheduler.drain(60)
        assert [ticket.state for ticket in tickets] == [TicketState.DONE] * 2


def test_closing_cancels_what_is_left(tiny: Pipeline) -> None:
    """Every reader is told, nothing is active or queued, and the thread has ended."""
    started = Started()
    scheduler = Scheduler(tiny, SchedulerConfig(max_active=1, queued_audio_s=0.1))
    tickets = [scheduler.submit(Request(text=TEXT, streamed=True)) for _ in range(3)]
    next(tickets[0])
    assert started("cosyrt-scheduler")
    scheduler.close()
    load = scheduler.load()

    assert (load.active, load.queued, load.cancelled) == (0, 0, 3)
    for ticket in tickets:
        with pytest.raises(cosyrt.Cancelled):
            joined(ticket)
    assert not started("cosyrt-scheduler")


def test_a_slow_writer_stalls_nobody(tiny: Pipeline) -> None:
    """While one text is being written others are spoken to their end; then it is spoken, too."""
    writing, asked = threading.Event(), threading.Event()

    def chat() -> Iterator[str]:
        yield f"{SHORT} "
        asked.set()
        assert writing.wait(60)
        yield "Good bye."

    with Scheduler(quick(tiny), SchedulerConfig(max_active=2)) as scheduler:
        slow = scheduler.submit(Request(text=chat(), streamed=True))
        assert asked.wait(60)
        for seed in range(3):
            assert joined(scheduler.submit(Request(text=SHORT, seed=seed))).size
        assert not slow.ended
        writing.set()
        assert joined(slow).size
        assert [piece.text.strip() for piece in slow.pieces] == [SHORT, "Good bye."]


@pytest.mark.parametrize("ends", [False, True])
def test_a_text_on_an_event_loop(tiny: Pipeline, ends: bool) -> None:
    """An asynchronous text is asked for on the loop it belongs to; cancelling does not wait for it."""

    async def words() -> AsyncIterator[str]:
        yield f"{SHORT} And"
        if not ends:
            await asyncio.Event().wait()

    async def listen(scheduler: Scheduler) -> list[Audio]:
        with scheduler.submit(Request(text=words(), streamed=True)) as ticket:
            return [audio async for audio in ticket] if ends else [await anext(ticket)]

    with Scheduler(quick(tiny)) as scheduler:
        assert len(asyncio.run(listen(scheduler))) >= 1
        assert scheduler.drain(60)


def test_words_are_spoken_while_they_are_written(spelling: Pipeline) -> None:
    """Interleaved text is read word by word, and sounds as it does alone."""
    request = Request(text="Hello there, you two.", interleave=True, streamed=True, voice=prompted())
    with Scheduler(spelling) as scheduler:
        text = iter(["Hello the", "re, you", " two."])
        one, two = scheduler.submit(replace(request, text=text)), scheduler.submit(request)
        heard = [joined(one), joined(two)]

    assert all(same(each, joined(spelling.run(request))) for each in heard)


def test_an_error_of_the_writer_is_the_readers(tiny: Pipeline) -> None:
    """Audio that was made before it is heard; a text that cannot be opened is an error at once."""

    def chat() -> Iterator[str]:
        yield f"{SHORT} "
        raise KeyError("the writer failed")

    with Scheduler(quick(tiny)) as scheduler:
        for text, made in (chat(), 1), (iter(["!?"]), 0):
            ticket = scheduler.submit(Request(text=text, streamed=True))
            heard = []
            with pytest.raises((KeyError, cosyrt.TextError)):
                for audio in ticket:
                    heard.append(audio)
            assert len(heard) >= made and ticket.state is TicketState.FAILED


@pytest.mark.parametrize("stage", ["step", "encode", "velocity", "vocode"])
def test_nothing_more_is_run_for_a_request_that_is_cancelled(tiny: Pipeline, stage: str) -> None:
    """The unit of work that is under way comes to its end, and no other begins."""
    held = Held(getattr(quick(tiny).model.stages, stage))
    counted = {
        name: Counted(held if name == stage else getattr(quick(tiny).model.stages, name))
        for name in ("prefill", "step", "encode", "velocity", "vocode")
    }
    with Scheduler(quick(tiny, **counted)) as scheduler:
        ticket = scheduler.submit(Request(text=TEXT, streamed=True))
        assert held.called.wait(60)
        calls = {name: each.calls for name, each in counted.items()}
        ticket.cancel()
        held.go.set()
        assert scheduler.drain(60)

    assert {name: each.calls for name, each in counted.items()} == calls


def test_a_request_that_is_cancelled_waits_for_the_worker_that_is_at_it(
    tiny: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile others are served to their end; nothing is chosen for it, and nothing of it is dropped."""
    stage, called, go = quick(tiny).model.stages.velocity, threading.Event(), threading.Event()

    def first_waits(*args: object) -> object:
        is_first = not called.is_set()
        called.set()
        assert not is_first or go.wait(60)
        return stage(*args)  # type: ignore[arg-type]

    chosen: list[set[Ticket]] = []
    with Scheduler(quick(tiny, velocity=first_waits), SchedulerConfig(workers=2)) as scheduler:
        choose = scheduler._dispatcher.choose

        def noted(ready: Sequence[Active], now_s: float) -> Turn | None:
            chosen.append({each.ticket for each in ready})
            return choose(ready, now_s)

        monkeypatch.setattr(scheduler._dispatcher, "choose", noted)
        cancelled = scheduler.submit(Request(text=TEXT, streamed=True))
        assert called.wait(60)
        cancelled.cancel()
        served = scheduler.submit(Request(text=SHORT, streamed=True))
        heard = joined(served)
        while not (load := scheduler.load()).done:  # a worker lets go of it a moment later
            time.sleep(0.001)
        go.set()
        assert scheduler.drain(60)

    assert same(heard, joined(quick(tiny).stream(SHORT)))
    assert (load.active, load.cancelled) == (1, 0)
    assert {served} in chosen and {cancelled, served} not in chosen


def test_a_refusal_costs_nothing(tiny: Pipeline, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room the request is not even looked at, so that it is refused at once."""
    with Scheduler(other(tiny, step=held), SchedulerConfig(max_active=1, max_queue=0)) as scheduler:
        scheduler.submit(Request(text=SHORT))
        monkeypatch.setattr(Pipeline, "prepare", lambda *args: pytest.fail("the request was looked at"))
        with pytest.raises(cosyrt.Busy):
            scheduler.submit(Request(text=TEXT))
        held.go.set()


def test_whoever_has_waited_too_long_is_sent_away(tiny: Pipeline, held: Held) -> None:
    """A request that is not let in after so long ends with the error that a full queue is told."""
    config = SchedulerConfig(max_active=1, max_wait_s=0.01)
    with Scheduler(other(tiny, step=held), config) as scheduler:
        scheduler.submit(Request(text=SHORT))
        waiting = scheduler.submit(Request(text=SHORT))
        assert held.called.wait(60)
        held.go.set()
        with pytest.raises(cosyrt.Busy, match=r"has waited 0\.01 s; come back in") as refused:
            joined(waiting)
    assert refused.value.retry_after_s > 0


def test_a_bug_of_ours_leaves_nobody_waiting(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the worker break, every reader is told why, and nothing more is taken."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    scheduler = Scheduler(quick(tiny))
    monkeypatch.setattr(scheduler._dispatcher, "choose", lambda *args: 1 / 0)
    ticket = scheduler.submit(Request(text=SHORT))
    with pytest.raises(ZeroDivisionError):
        joined(ticket)
    scheduler.close()
    with pytest.raises(cosyrt.Busy):
        scheduler.submit(Request(text=SHORT))


def test_exact_requests_are_bit_for_bit_what_they_are_alone(tiny: Pipeline) -> None:
    """In the middle of a crowd nothing of it is computed in a batch."""
    exact = Request(text=TEXT, seed=7, voice=prompted(), streamed=True, exact=True)
    with Scheduler(tiny) as scheduler:
        crowd = [scheduler.submit(Request(text=SHORT, seed=seed, streamed=True)) for seed in range(3)]
        heard = joined(scheduler.submit(exact))
        for ticket in crowd:
            ticket.cancel()

    assert np.array_equal(heard, joined(tiny.run(exact)))


def test_a_shared_model_is_not_changed_by_a_crowd(tiny: Pipeline) -> None:
    """Random numbers belong to a request: whoever its neighbours are, a seed gives the same audio again."""
    request = Request(text=SHORT, seed=5, streamed=True)
    heard = []
    for neighbours in (0, 1, 3):
        with Scheduler(tiny) as scheduler:
            others = [scheduler.submit(replace(request, seed=seed)) for seed in range(neighbours)]
            heard.append(joined(scheduler.submit(request)))
            for ticket in others:
                ticket.cancel()

    assert all(same(each, heard[0]) for each in heard)


def test_memory_is_a_term_of_admission(tiny: Pipeline) -> None:
    """Where the pasts of two streams would not fit they are spoken one after another, and none forgets."""
    tts = other(tiny)
    with Scheduler(tts) as scheduler:
        joined(scheduler.submit(Request(text=TEXT, streamed=True)))
        usual = tts.conditions._streams.usual_bytes
        tts.conditions.cache_bytes = int(1.5 * usual)
        tickets = [scheduler.submit(Request(text=TEXT, seed=seed, streamed=True)) for seed in range(3)]
        most = 0
        for ticket in tickets:
            for _ in ticket:
                most = max(most, scheduler.load().active)

    assert usual > 0 and most == 1


def test_rows_are_part_of_that_memory(tiny: Pipeline) -> None:
    """Where the rows of two would not fit they are spoken one after another, too, streamed or not."""
    tts = quick(tiny)
    with Scheduler(tts) as scheduler:
        joined(scheduler.submit(Request(text=TEXT)))
        assert tts.conditions._streams.usual_bytes == 0
        tts.conditions.cache_bytes = scheduler._rows.bytes_for(2) - 1
        tickets = [scheduler.submit(Request(text=TEXT, seed=seed)) for seed in range(3)]
        most = 0
        for ticket in tickets:
            for _ in ticket:
                most = max(most, scheduler.load().active)

    assert most == 1
