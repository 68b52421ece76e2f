"""Many streams at once: what they give is compared with each alone, and their calls are timed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.lab.together import calls_together, crowd, mels_together, verify_together
from cosyrt.lab.workload import Length, Workload, mel_of, seconds_of

STREAMS = 3


@pytest.fixture(params=["cosyvoice2", "cosyvoice", "cosyvoice3"])
def model(request: pytest.FixtureRequest, tiny: Pipeline, tiny1: Pipeline, tiny3: Pipeline) -> Model:
    return {tts.family: tts.model for tts in (tiny, tiny1, tiny3)}[request.param]


def test_a_crowd_is_of_many_lengths(workload: Workload) -> None:
    """Other words, other lengths, with a prompt and without."""
    utterances = crowd(workload, STREAMS)

    assert len({len(each.speech) for each in utterances}) == STREAMS
    assert {len(each.voice.speech_tokens) > 0 for each in utterances} == {True, False}


@pytest.mark.parametrize("part", PARTS)
def test_plain_stages_are_themselves_together(model: Model, part: Part) -> None:
    """A batch of the plain stages of every family is within the exact class of each alone."""
    parity = verify_together(model, part, "exact", model.plain, crowd(Workload(model), STREAMS))

    assert parity.passed, parity.why


SPOILT: dict[Part, str] = {"llm": "step", "encode": "encode", "velocity": "velocity", "vocode": "vocode"}


@pytest.mark.parametrize("part", PARTS)
def test_a_stage_that_is_wrong_in_a_batch_is_refused(workload: Workload, part: Part) -> None:
    """One that gives a row, or a stream, the values of its neighbour is right alone and wrong together."""
    model, name = workload.model, SPOILT[part]
    stage = getattr(model.plain, name)

    def swapped(*args: Any) -> Tensor:
        out: Tensor = stage(*args)
        if part == "velocity":
            return out.roll(1, dims=2)
        return out.roll(1, dims=0) if len(out) > 1 else out + (part == "encode")

    other = model.plain.replacing(**{name: swapped})
    streams = [workload.utterance(Length(40, 0, False), number) for number in range(2)]
    assert not verify_together(model, part, "exact", other, streams).passed


def test_mels_are_solved_in_fewer_calls(workload: Workload) -> None:
    """Streams of one length take their steps together: as many calls as one stream makes alone."""
    model, calls = workload.model, []

    def velocity(*args: Any) -> Tensor:
        calls.append(args[0].frames)
        return model.plain.velocity(*args)

    counted = model.plain.replacing(velocity=velocity)
    said = [workload.utterance(Length(60, 0, True), number) for number in range(STREAMS)]
    mel_of(model, counted, said[0])
    alone = len(calls)
    mels = mels_together(model, counted, said)

    assert len(calls) == 2 * alone
    assert calls[alone:] == [STREAMS * frames for frames in calls[:alone]]
    for mel, each in zip(mels, said, strict=True):
        torch.testing.assert_close(mel, mel_of(model, model.plain, each), atol=1e-4, rtol=0)


@pytest.mark.parametrize("part", PARTS)
def test_calls_are_timed_for_all_streams_at_once(workload: Workload, part: Part) -> None:
    """The calls of a part, each of which took a second by this clock, and the seconds of the whole."""
    now = iter(range(1_000_000))
    said = workload.utterance(Length(30, 0, True))
    calls = calls_together(
        workload.model, workload.model.plain, part, said, STREAMS, lambda: float(next(now))
    )

    assert {call.stage for call in calls} <= set(PARTS[part]) and {call.seconds for call in calls} == {1.0}
    if part == "llm":
        assert seconds_of(model, part, said, calls) == STREAMS + 29
