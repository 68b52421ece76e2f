"""Whole speech in chunks as a candidate: allowed, timed, told, and what a plan with it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosyrt.accel.plan import Plan
from cosyrt.engine.pipeline import Pipeline
from cosyrt.lab import chunked as module
from cosyrt.lab.chunked import ChunkedTrial, Speaker, chunked_trial
from cosyrt.lab.timing import Speedup
from cosyrt.lab.workload import PROMPT_TOKENS, Length, Workload
from tests.engine.pipelines import SHORT, prompted, same


def test_it_wins_only_beyond_the_noise() -> None:
    """The whole interval must be above what the same way differs from itself."""
    faster = Speedup(median=1.5, low=1.3, high=1.6)

    assert ChunkedTrial(flow=faster, floor=1.2).wins
    assert not ChunkedTrial(flow=faster, floor=1.4).wins
    assert not ChunkedTrial(why="it was not timed").wins


def test_the_prompt_of_a_known_voice_is_kept(workload: Workload) -> None:
    """The prompt's past is made by the first utterance; the second gives the same mel for the same tokens."""
    utterance = workload.utterance(Length(30, PROMPT_TOKENS, False))
    speaker = Speaker(workload.model, workload.model.plain, None)
    first, again = (speaker.mel(utterance, chunked=True) for _ in range(2))
    (condition,) = speaker.conditions.values()

    assert condition.past is not None and condition.past.tokens == 50
    assert bool((first == again).all())
    assert not bool((first == speaker.mel(utterance, chunked=False)).all())


def test_both_ways_are_timed(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a speed-up with its noise, and the two mels differ."""
    monkeypatch.setattr(module, "LENGTHS", (Length(20, PROMPT_TOKENS, False),))
    found = chunked_trial(str(tiny_folder), "cpu", {}, None, 0.1, 1)

    assert found.flow is not None and found.flow.median > 0 and found.floor >= 1
    assert found.distance_db > 0 and not found.why


def test_a_flow_that_looks_both_ways_has_no_chunks(tiny1_folder: Path) -> None:
    """CosyVoice 1 says so, and nothing is timed."""
    found = chunked_trial(str(tiny1_folder), "cpu", {}, None, 0.1, 1)

    assert found.flow is None and "both ways" in found.why


def test_a_plan_with_it_says_what_the_stream_does(tiny: Pipeline, tmp_path: Path) -> None:
    """`say` gives the samples of `say(chunked=True)`; the plan is read as it was written."""
    voice = prompted()
    planned = Pipeline(replace(tiny.model, chunked=True))
    whole, chunked = (tiny.say(SHORT, voice=voice, chunked=chunks).samples for chunks in (False, True))
    plan = Plan(made_for={}, parts={}, chunked=True)
    plan.write(tmp_path / "plan.json")

    assert same(planned.say(SHORT, voice=voice).samples, chunked)
    assert not np.array_equal(whole, chunked)
    assert Plan.read(tmp_path / "plan.json") == plan
