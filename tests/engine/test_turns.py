"""Turns of one utterance and of many: the same code, the same audio, and errors that stay with their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.need import Need
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Rows
from cosyrt.engine.turns import alone, take_turn
from cosyrt.engine.utterance import Utterance
from cosyrt.errors import SpeechError
from tests.engine.pipelines import SHORT, TEXT, Counted, joined, other, prompted, same
from tests.engine.quick import quick

REQUESTS = [
    Request(text=TEXT, seed=1, streamed=True),
    Request(text=SHORT, seed=2, voice=prompted(), streamed=True),
    Request(text=TEXT, seed=3, speed=1.3, chunked=True),
]


def begun(tts: Pipeline, requests: list[Request]) -> list[Utterance]:
    """Utterances that share one cache."""
    model = tts.model
    rows = Rows(model.stages, model.settings.decoding, model.device, capacity=len(requests))
    return [tts.utterance(tts.open(request), rows) for request in requests]


def samples_of(utterance: Utterance) -> Iterator[np.ndarray]:
    while utterance.made:
        if not isinstance(made := utterance.made.popleft(), SpokenPiece):
            yield made


def spoken_together(utterances: list[Utterance], most: int | None = None) -> list[np.ndarray]:
    """Audio of each, every turn taken for all that need the same; most positions of a text in a turn."""
    parts: list[list[np.ndarray]] = [[] for _ in utterances]
    while needs := {each.need for each in utterances} - {Need.NOTHING}:
        need = min(needs, key=lambda need: list(Need).index(need))
        together = [each for each in utterances if each.need is need]
        if need is Need.TEXT:
            for each in together:
                each.push(next(each.source.items, None))
        else:
            assert take_turn(need, together, most) == {}
        for each, into in zip(utterances, parts, strict=True):
            into += samples_of(each)
    return [np.concatenate(each) for each in parts]


@pytest.mark.parametrize("most", [None, 3])
@pytest.mark.parametrize("family", ["tiny", "tiny3"])
def test_an_utterance_in_a_crowd_is_what_it_is_alone(
    request: pytest.FixtureRequest, family: str, most: int | None
) -> None:
    """Turns for several at once, texts read whole or in parts, give each the samples of `run`."""
    tts: Pipeline = request.getfixturevalue(family)
    requests = [each for each in REQUESTS if family == "tiny" or not each.voice]
    together = spoken_together(begun(tts, requests), most)

    for each, samples in zip(requests, together, strict=True):
        assert same(samples, joined(tts.run(each)))


def test_a_crowd_of_cosyvoice1(tiny1: Pipeline) -> None:
    """The flow of CosyVoice 1 takes one stream at a time; its language model reads all rows at once."""
    requests = [Request(text=SHORT, seed=seed, streamed=True) for seed in (1, 2)]

    for each, samples in zip(requests, spoken_together(begun(tiny1, requests)), strict=True):
        assert same(samples, joined(tiny1.run(each)))


def test_turns_of_many_share_their_calls(tiny: Pipeline) -> None:
    """Three utterances of one text are read by as many steps as one, and solved by as many calls."""
    counts = []
    for many in (1, 3):
        step, velocity = Counted(tiny.model.stages.step), Counted(tiny.model.stages.velocity)
        tts = other(tiny, step=step, velocity=velocity)
        spoken_together(begun(tts, [REQUESTS[0]] * many))
        counts.append((step.calls, velocity.calls))

    assert counts[0] == counts[1]


def test_alone_is_a_batch_of_one(tiny: Pipeline) -> None:
    """Taking every turn of one utterance gives bit for bit what `run` gives, ahead in a thread or not."""
    for overlap in (False, True):
        [utterance] = begun(tiny, REQUESTS[:1])
        made = [each for each in alone(utterance, overlap=overlap) if not isinstance(each, SpokenPiece)]
        assert np.array_equal(np.concatenate(made), joined(tiny.run(REQUESTS[0])))
        assert utterance.need is Need.NOTHING


def test_an_error_of_one_is_not_one_of_the_others(tiny: Pipeline) -> None:
    """Samples that are not finite end the utterance whose they are; the turn gives the error back."""

    def vocode(mel: torch.Tensor, *rest: Any) -> torch.Tensor:
        made = tiny_vocode(mel, *rest)
        made[-1] *= torch.nan
        return made

    tiny_vocode = quick(tiny).model.stages.vocode
    tts = quick(tiny, vocode=lambda *args: vocode(*args).clone())
    good, bad = begun(tts, [Request(text=SHORT, streamed=True)] * 2)
    while {good.need, bad.need} != {Need.VOCODE}:
        for each in (good, bad):
            if each.need is Need.TEXT:
                each.push(next(each.source.items, None))
        together = [each for each in (good, bad) if each.need is not Need.VOCODE]
        assert take_turn(together[0].need, together) == {}
    failed = take_turn(Need.VOCODE, [good, bad])

    assert list(failed) == [bad] and isinstance(failed[bad], SpeechError)
    assert len(list(samples_of(good))) == 1
