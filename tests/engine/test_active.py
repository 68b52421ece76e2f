"""What a request will cost, as guessed or as measured, and when it is due."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from cosyrt.engine.active import MARGIN, SEEDS, Active, Work, seeds_of
from cosyrt.engine.feed import OpenFeed
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.schedule import FIRST_AUDIO_S, PATIENCE_S, Costs
from cosyrt.engine.scheduler import Scheduler
from cosyrt.engine.ticket import Ticket
from tests.engine.quick import quick


def test_costs_begin_with_what_was_measured(tiny: Pipeline) -> None:
    """Calls of any size become seconds a row, a position and a mel frame."""
    flow = tiny.model.settings.flow
    frames = flow.branches * flow.mel_bins
    measured = {
        "step": [(100, 0.02), (150, 0.025), (200, 0.03)],
        "velocity": [(50 * frames, 0.1), (200 * frames, 0.4)],
        "vocode": [(80 * flow.mel_bins, 0.04)],
        "encode": [(25, 0.05)],
        "prefill": [(30, 0.06)],
    }
    seeds = seeds_of(replace(tiny.model, calls=measured))

    assert seeds[Work.STEP] == pytest.approx(0.025)
    assert seeds[Work.SOLVE] == pytest.approx(0.002)
    assert seeds[Work.VOCODE] == pytest.approx(0.0005)
    assert seeds[Work.ENCODE] == pytest.approx(0.001)
    assert seeds[Work.PREFILL] == pytest.approx(0.002)


def test_a_part_without_a_plan_is_guessed(tiny: Pipeline) -> None:
    """What no plan has measured begins with the guess for it."""
    model = replace(tiny.model, calls={"vocode": [(80, 1.0)]})
    assert seeds_of(tiny.model) == SEEDS
    assert {work for work, seed in seeds_of(model).items() if seed != SEEDS[work]} == {Work.VOCODE}


def test_a_scheduler_believes_the_plan(tiny: Pipeline) -> None:
    """Before anything was spoken a turn is expected to take what it took when the plan was made."""
    model = replace(tiny.model, calls={"step": [(100, 0.5)]})
    with Scheduler(Pipeline(model)) as scheduler:
        assert scheduler._dispatcher.costs.predict(Work.STEP, 2) == pytest.approx(1.0)


def test_whoever_has_no_listener_is_due_in_the_end(tiny: Pipeline) -> None:
    """A request that nobody listens to is urgent after long without audio; a new stream is not."""
    tts, due_s = quick(tiny), []
    for streamed in (False, True):
        source = tts.open(Request(text="Hello.", streamed=streamed))
        active = Active(Ticket(source.request, "", lambda: None), OpenFeed(source))
        active.utterance = tts.utterance(source)
        active.read_text()
        due_s.append(active.claim(Costs(SEEDS), 1).deadline_s)
        active.served_s += 1.0
        due_s.append(active.claim(Costs(SEEDS), 1).deadline_s)
        active.close()

    assert due_s[0] is not None and due_s[1] == due_s[0] + 1.0 and due_s[2:] == [None, None]
    assert due_s[0] - time.monotonic() == pytest.approx(PATIENCE_S, abs=5.0)


def test_a_stream_tells_what_its_growing_chunks_will_take(tiny: Pipeline) -> None:
    """Behind the next chunk come those up to the first of the longest; each goes on from the one before."""
    tts = quick(tiny)
    source = tts.open(Request(text="Hello there, how are you today?", streamed=True))
    active = Active(Ticket(source.request, "", lambda: None), OpenFeed(source))
    active.utterance = tts.utterance(source)
    active.read_text()
    costs = Costs(SEEDS)
    assert active.hops == [25, 25, 50, 100]
    active.utterance.audio.chunk_tokens = 25
    later = active.claim(costs, 2).later
    step_s = costs.slowest(Work.STEP, 2)

    assert [each.after_s for each in later] == [FIRST_AUDIO_S, 1.0, 2.0]
    assert [each.shared_s for each in later] == pytest.approx([MARGIN * n * step_s for n in (25, 50, 100)])
    assert later[2].work_s == pytest.approx(2 * later[1].work_s)
    active.utterance.tokens.made.extend([0] * 60)  # read already: all of the second chunk, some of the third
    assert [each.shared_s / MARGIN / step_s for each in active.later(costs, 2)] == pytest.approx([0, 15, 100])
    active.playback.give(0.5, 0.0)
    active.utterance.audio.chunk_tokens = 50
    assert [each.after_s for each in active.claim(costs, 2).later] == [2.0]
    active.utterance.audio.chunk_tokens = 17  # the rest of a piece
    assert active.claim(costs, 2).later == ()
    active.close()
