"""Listeners at chance moments: what each heard, and how many streams an engine carries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import SchedulerConfig
from cosyrt.errors import Busy
from cosyrt.lab.streams import (
    ENGINES,
    Engine,
    Listener,
    Refusal,
    StreamsConfig,
    StreamsResult,
    arrivals,
    carried,
    listened,
    measured,
    serving,
    streams_of,
    summary,
    told_over_true,
)
from cosyrt.lab.timing import Summary
from cosyrt.voice.voice import Voice
from tests.engine.pipelines import prompted
from tests.engine.quick import quick
from tests.threads import Started

REQUEST = Request(text="Hello.", streamed=True)
CHUNK = Audio(np.zeros(2_400, np.float32), 24_000)


def chunks(*rests: float) -> Iterator[Audio]:
    for rest in rests:
        time.sleep(rest)
        yield CHUNK


def result(streams: int, gapless: float = 1.0, refused: int = 0, engine: str = "scheduler") -> StreamsResult:
    return StreamsResult(
        engine=engine,  # type: ignore[arg-type]
        streams=streams,
        listeners=9,
        served=9 - refused,
        refused=refused,
        gapless=gapless,
        audio_s_per_s=1.0,
        longest_gap_s=0.0,
        first_audio_s=Summary.of([0.1]),
        refusal_s=None,
        came_back=None,
        told_over_true=None,
    )


def test_listeners_come_at_chance_moments() -> None:
    """As many as the rate says, at other moments with another seed, and never after the end."""
    moments = arrivals(10.0, 60.0, seed=1)

    assert 480 < len(moments) < 720 and moments == sorted(moments)
    assert moments[0] == 0 and moments[-1] < 60
    assert moments == arrivals(10.0, 60.0, seed=1) != arrivals(10.0, 60.0, seed=2)
    assert len(arrivals(1e6, 60.0, seed=1)) == 1_000


def test_what_a_listener_hears() -> None:
    """The first audio counts from the request; a chunk that comes after the last was played is a gap."""
    heard = listened(lambda request: chunks(0.05, 0.0, 0.4), REQUEST)

    assert heard.audio_s == pytest.approx(0.3) and heard.first_audio_s >= 0.05
    assert heard.longest_gap_s > 0.15 and heard.refusal is None


def test_whoever_is_refused_comes_back_once() -> None:
    """The time that the refusal took is kept, and whether coming back helped."""
    refusals = [Busy("full", 0.05)]

    def submit(request: Request) -> Iterable[Audio]:
        if refusals:
            raise refusals.pop()
        return chunks(0.0)

    begin = time.perf_counter()
    first = listened(submit, REQUEST)
    assert first.came_back and first.audio_s and first.refusal is not None
    assert first.refusal.told_s == 0.05
    assert time.perf_counter() - begin > 0.05

    refusals.extend([Busy("full", 0.01)] * 2)
    second = listened(submit, REQUEST)
    assert second.came_back is False and not second.audio_s


def test_the_sum_of_what_all_heard() -> None:
    """Gaps count among those served, and audio over the whole time."""
    heard = [
        Listener(audio_s=2.0, first_audio_s=0.1, longest_gap_s=0.05),
        Listener(audio_s=2.0, first_audio_s=0.3, longest_gap_s=0.2),
        Listener(refusal=Refusal(1.0, 0.01, 3.0), came_back=False),
    ]
    found = summary("threads", 3, heard, seconds=4.0)

    assert (found.listeners, found.served, found.refused, found.gapless) == (3, 2, 1, 0.5)
    assert found.audio_s_per_s == 1.0 and found.longest_gap_s == 0.2 and found.came_back == 0.0
    assert summary("threads", 3, heard[2:], seconds=4.0).first_audio_s is None


def test_a_wait_that_is_told_is_compared_with_the_one_that_came() -> None:
    """The wait ends when the last one who was queued before the refusal is let in."""
    heard = [
        Listener(audio_s=1.0, admitted_at_s=0.0, waited_s=0.0),
        Listener(audio_s=1.0, admitted_at_s=5.0, waited_s=7.0),
        Listener(audio_s=1.0, admitted_at_s=11.0, waited_s=9.0),
    ]

    assert told_over_true(heard, [Refusal(10.0, 0.01, 3.0)]) == pytest.approx(1.5)
    assert told_over_true(heard, []) is None and told_over_true([], [Refusal(1.0, 0.01, 3.0)]) is None


def test_what_an_engine_carries() -> None:
    """The most streams with no gap and no refusal, of that engine alone."""
    results = [
        result(1),
        result(2),
        result(4, gapless=0.9),
        result(8, refused=1),
        result(16, engine="threads"),
    ]

    assert carried(results, "scheduler") == 2 and carried(results, "threads") == 16
    assert carried([], "scheduler") == 0


def test_an_engine_that_breaks_down_is_given_no_more(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where most streams have gaps more listeners would only take time; the other engine goes on."""

    def measured(engine: str, submit: object, streams: int, *rest: object) -> StreamsResult:
        return result(streams, 0.4 if engine == "threads" and streams > 1 else 1.0, engine=engine)

    monkeypatch.setattr("cosyrt.lab.streams.measured", measured)
    found = [(each.engine, each.streams) for each in streams_of(tiny, StreamsConfig(streams=(1, 2, 4, 8)))]

    assert [streams for engine, streams in found if engine == "scheduler"] == [1, 2, 4, 8]
    assert [streams for engine, streams in found if engine == "threads"] == [1, 2]


def test_both_engines_serve_the_tiny_model(tiny: Pipeline) -> None:
    """Every listener is served by threads; the scheduler may refuse, and then says when to come back."""
    config = StreamsConfig(streams=(2,), seconds=0.3, scheduler=SchedulerConfig(max_active=2, max_queue=50))
    results = {each.engine: each for each in streams_of(tiny, config)}

    assert set(results) == {"scheduler", "threads"}
    for each in results.values():
        assert each.served == each.listeners >= 1 and each.refused == 0
        assert each.first_audio_s is not None and each.audio_s_per_s > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_waits_for_no_listener(
    tiny: Pipeline, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens to a text without an end hears it, and nobody else is let in."""

    def interrupted(seconds: float) -> None:
        if seconds > 1:
            raise KeyboardInterrupt

    def endless() -> Iterator[str]:
        while True:
            yield "Hello there. "

    started, tts = Started(), quick(tiny)
    monkeypatch.setattr("cosyrt.lab.streams.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt), serving(engine, tts, SchedulerConfig()) as submit:
        measured(engine, submit, 1, [0.0, 60.0], [Request(text=endless(), streamed=True)])
    for thread in started("cosyrt-listener"):
        thread.join(60)
    assert not started("cosyrt-listener")


def test_the_voice_that_was_asked_for_speaks(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it is the model's; a model that has none gets one made of a clip."""
    made, asked = prompted(), list[Voice | str | None]()

    def measured(
        engine: str, submit: object, streams: int, moments: object, requests: list[Request]
    ) -> object:
        asked.extend(request.voice for request in requests)
        return result(streams)

    monkeypatch.setattr("cosyrt.lab.streams.measured", measured)
    monkeypatch.setattr("cosyrt.lab.streams.clip_voice", lambda pipeline: made)
    config = StreamsConfig(streams=(1,), engines=("threads",))
    given, mute = prompted(name="given"), Pipeline(replace(tiny.model, settings=tiny.model.settings))
    mute.voices = {}
    for tts, settings in ((tiny, config), (tiny, replace(config, voice=given)), (mute, config)):
        list(streams_of(tts, settings))

    assert asked == [None, None, given, given, made, made]
