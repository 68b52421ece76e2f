"""Listeners who come and go: how many streams at once are heard without a gap, and what the others are told.

Listeners arrive at chance moments (a Poisson process), so that on average so many would be listening at once
if nobody had to wait. Each reads its audio as fast as it comes and plays it in real time from the first chunk
on. The scheduler and one thread for each listener serve the same arrivals, by turns.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Literal, NamedTuple, get_args

from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.ticket import Ticket
from cosyrt.engine.turns import alone
from cosyrt.errors import Busy, Cancelled
from cosyrt.lab.bench import clip_voice, stream_times
from cosyrt.lab.texts import TEXTS
from cosyrt.lab.timing import Summary
from cosyrt.voice.voice import Voice

GAP_S = 0.1  # of silence in the middle of a stream: from here on it is heard as one
BROKEN = 0.5  # share of streams without a gap, below which an engine is far beyond what it carries
LENGTH = "medium"  # of the texts
MOST_LISTENERS = 1_000  # of one run

Engine = Literal["scheduler", "threads"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Submit = Callable[[Request], Iterable[Audio]]
OnStep = Callable[[str, float | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """How many listeners at once on average, for how long, and by which engines they are served."""

    streams: tuple[int, ...]
    seconds: float = 30.0
    engines: tuple[Engine, ...] = ENGINES
    voice: Voice | None = None  # None: the model's for each language, or one made of a clip
    scheduler: SchedulerConfig = SchedulerConfig()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What one listener heard, or how long it took to be refused and whether coming back helped."""

    audio_s: float = 0.0
    first_audio_s: float = 0.0
    longest_gap_s: float = 0.0
    admitted_at_s: float = 0.0  # on the clock of the run
    waited_s: float | None = None  # in the queue of the scheduler
    refusal: Refusal | None = None  # None: it was admitted at once
    came_back: bool | None = None  # whether it was admitted when it came back as it was told to


class Refusal(NamedTuple):
    """One refusal: when it came, after how long, and the wait that was told."""

    at_s: float  # on the clock of the run
    took_s: float
    told_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsResult:
    """What all listeners of one run heard."""

    engine: Engine
    streams: int  # at once, on average
    listeners: int
    served: int
    refused: int
    gapless: float  # share of those served who heard no gap
    audio_s_per_s: float
    longest_gap_s: float
    first_audio_s: Summary | None  # None: nobody was served
    refusal_s: Summary | None  # None: nobody was refused
    came_back: float | None  # share of those refused who were admitted when they came back
    told_over_true: float | None  # wait that was told, over the one until the queue of then was let in


def streams_of(
    pipeline: Pipeline, config: StreamsConfig, on_step: OnStep = lambda step, share: None
) -> Iterator[StreamsResult]:
    """Measure each number of streams with each engine, by turns; one that breaks down is given no more."""
    voice = config.voice or (None if pipeline.voices else clip_voice(pipeline))
    texts = [text.words for text in TEXTS if text.length == LENGTH]
    requests = [Request(text=text, voice=voice, streamed=True) for text in texts]
    seconds = sum(_seconds(pipeline, request) for request in requests) / len(requests)  # and warm
    broken_at: dict[Engine, int] = {}
    for at, streams in enumerate(config.streams):
        moments = arrivals(streams / seconds, config.seconds, config.seed + streams)
        for place, engine in enumerate(config.engines[:: -1 if at % 2 else 1]):
            if streams > broken_at.get(engine, MOST_LISTENERS):
                continue
            done = (at + place / len(config.engines)) / len(config.streams)
            on_step(f"{streams} streams, {engine}", done)
            with serving(engine, pipeline, config.scheduler) as submit:
                found = measured(engine, submit, streams, moments, requests)
            if found.gapless < BROKEN:
                broken_at[engine] = streams
            yield found


def _seconds(pipeline: Pipeline, request: Request) -> float:
    return Audio.join(in_own_thread(pipeline, request)).seconds


@contextmanager
def serving(engine: Engine, pipeline: Pipeline, config: SchedulerConfig) -> Iterator[Submit]:
    """Serve requests by the scheduler, or by a thread for each listener; at the end nobody is served."""
    if engine == "scheduler":
        with Scheduler(pipeline, config) as scheduler:
            yield scheduler.submit
        return
    over = Event()
    try:
        yield partial(in_own_thread, pipeline, over=over)
    finally:
        over.set()


def in_own_thread(pipeline: Pipeline, request: Request, over: Event | None = None) -> Iterator[Audio]:
    """Speak a request in the thread of its listener, who shares nothing with the others.

    Raises:
        Cancelled: it is over.
    """
    for made in alone(pipeline.utterance(pipeline.open(request)), overlap=pipeline.overlap):
        if over is not None and over.is_set():
            raise Cancelled("the listener was sent away: nobody is served any more")
        if not isinstance(made, SpokenPiece):
            yield Audio(made, pipeline.sample_rate)


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Moments of a Poisson process of so many a second, the first at once."""
    chance, moments = random.Random(seed), [0.0]
    while len(moments) < MOST_LISTENERS:
        moments.append(moments[-1] + chance.expovariate(rate))
        if moments[-1] >= seconds:
            return moments[:-1]
    return moments


def measured(
    engine: Engine, submit: Submit, streams: int, moments: list[float], requests: Sequence[Request]
) -> StreamsResult:
    """Let listeners come at those moments, and wait until the last has heard all.

    Where that is interrupted nobody is waited for: those who listen hear their end from whoever serves them.
    """
    over = Event()

    def listen(number: int) -> Listener:
        return listened(submit, replace(requests[number % len(requests)], seed=number), over)

    begin = time.perf_counter()
    pool, coming = ThreadPoolExecutor(len(moments), "cosyrt-listener"), list[Future[Listener]]()
    try:
        for number, moment in enumerate(moments):
            time.sleep(max(0.0, begin + moment - time.perf_counter()))
            coming.append(pool.submit(listen, number))
        heard = [future.result() for future in coming]
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)
    return summary(engine, streams, heard, time.perf_counter() - begin)


def listened(submit: Submit, request: Request, over: Event | None = None) -> Listener:
    """Listen to one stream; whoever is refused comes back once, when told to, unless it is over by then."""
    over = over or Event()
    begin = time.perf_counter()
    try:
        return heard_of(submit, request)
    except Busy as busy:
        at_s = time.perf_counter()
        refusal = Refusal(at_s, at_s - begin, busy.retry_after_s)
    if over.wait(refusal.told_s):
        return Listener(refusal=refusal, came_back=False)
    try:
        return replace(heard_of(submit, request), refusal=refusal, came_back=True)
    except Busy:
        return Listener(refusal=refusal, came_back=False)


def heard_of(submit: Submit, request: Request) -> Listener:
    """Listen to one stream that is admitted.

    Raises:
        Busy: it is not.
    """
    begin = time.perf_counter()
    chunks = submit(request)
    admitted_at_s = time.perf_counter()
    times = stream_times(chunks)
    return Listener(
        audio_s=times.audio_s,
        first_audio_s=admitted_at_s - begin + times.first_chunk_s,
        longest_gap_s=times.longest_silence_s,
        admitted_at_s=admitted_at_s,
        waited_s=chunks.waited_s if isinstance(chunks, Ticket) else None,
    )


def summary(engine: Engine, streams: int, heard: list[Listener], seconds: float) -> StreamsResult:
    """Count what all listeners heard in those seconds."""
    served = [each for each in heard if each.audio_s]
    refusals = [each.refusal for each in heard if each.refusal is not None]
    gapless = sum(each.longest_gap_s <= GAP_S for each in served)
    return StreamsResult(
        engine=engine,
        streams=streams,
        listeners=len(heard),
        served=len(served),
        refused=len(refusals),
        gapless=gapless / max(1, len(served)),
        audio_s_per_s=sum(each.audio_s for each in served) / seconds,
        longest_gap_s=max((each.longest_gap_s for each in served), default=0.0),
        first_audio_s=Summary.of([each.first_audio_s for each in served]) if served else None,
        refusal_s=Summary.of([each.took_s for each in refusals]) if refusals else None,
        came_back=sum(bool(each.came_back) for each in heard) / len(refusals) if refusals else None,
        told_over_true=told_over_true(heard, refusals),
    )


def told_over_true(heard: list[Listener], refusals: list[Refusal]) -> float | None:
    """The waits that were told, over those of whoever was the last in the queue at each refusal."""
    queued = sorted((each.admitted_at_s, each.waited_s) for each in heard if each.waited_s is not None)
    told_s = true_s = 0.0
    for refusal in refusals:
        before = [at_s + waited_s for at_s, waited_s in queued if at_s <= refusal.at_s]
        if before and before[-1] > refusal.at_s:
            told_s, true_s = told_s + refusal.told_s, true_s + before[-1] - refusal.at_s
    return told_s / true_s if true_s else None


def carried(results: Iterable[StreamsResult], engine: Engine) -> int:
    """The most streams at once that an engine carries without a gap or a refusal; 0 where there are none."""
    return max(
        (
            each.streams
            for each in results
            if each.engine == engine and each.gapless == 1 and not each.refused and each.served
        ),
        default=0,
    )
