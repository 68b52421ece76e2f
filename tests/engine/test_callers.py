"""Several threads on one pipeline: they share turns, and each hears what it hears alone."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.models.velocity import FlowInputs
from tests.engine.pipelines import SHORT, TEXT, joined, other, prompted, same
from tests.engine.quick import quick

REQUESTS = [
    Request(text=TEXT, seed=1, streamed=True),
    Request(text=SHORT, seed=2, voice=prompted(), streamed=True),
    Request(text=SHORT, speed=1.5),
    Request(text=TEXT, seed=4),  # beside the one above: neither has a listener whom the other could make late
    Request(text=SHORT, seed=3, streamed=True, exact=True),
]


def spoken(tts: Pipeline, request: Request) -> np.ndarray:
    """All audio of a request."""
    return joined(tts.run(request))


def test_each_hears_what_it_hears_alone(tiny: Pipeline) -> None:
    """Threads that speak at once share a batch; an exact request is the same to the last bit."""
    rows, plain = list[int](), tiny.model.stages.step
    together = Barrier(len(REQUESTS), timeout=60)

    def step(token: Tensor, *rest: Any) -> Tensor:
        rows.append(len(token))
        time.sleep(0.002)  # the others come meanwhile
        return plain(token, *rest)

    def begun(request: Request) -> np.ndarray:
        together.wait()
        return spoken(tts, request)

    tts = other(tiny, step=step)
    with ThreadPoolExecutor(len(REQUESTS)) as pool:
        heard = list(pool.map(begun, REQUESTS))

    for request, samples in zip(REQUESTS, heard, strict=True):
        assert same(samples, spoken(tiny, request))
    assert np.array_equal(heard[-1], spoken(tiny, REQUESTS[-1]))
    assert max(rows) > 1
    assert not tts._callers.rows.taken and tts._callers.rows.bytes == 0


def test_what_nobody_asks_for_stands_still(tiny: Pipeline) -> None:
    """A stream whose caller does something else has no turn, while another is spoken to its end."""
    slow = tiny.stream(TEXT, seed=1)
    first = next(slow)
    waiting = tiny._callers.rows.taken[0]
    filled = waiting.filled
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: joined(tiny.stream(SHORT))).result().size
    assert tiny._callers.rows.taken == [waiting] and waiting.filled == filled
    rest = joined(slow)

    assert same(np.concatenate([first.samples, rest]), joined(tiny.stream(TEXT, seed=1)))


def test_an_error_is_that_of_its_own_caller(tiny: Pipeline) -> None:
    """Whoever's thread runs the stage, only the request that fails alone has an error."""

    def velocity(inputs: FlowInputs, cache: Any) -> Tensor:
        speakers = inputs.speaker[0] if inputs.speaker.ndim == 3 else inputs.speaker[0][:, None]
        if bool((speakers == bad).all(0).any()):
            raise ZeroDivisionError("a broken stage")
        return torch.zeros_like(inputs.x)

    tts = quick(tiny, velocity=velocity)
    bad = tts.conditions.of(prompted()).speaker[0][:, None]
    with ThreadPoolExecutor(4) as pool:
        good = [pool.submit(spoken, tts, Request(text=TEXT, seed=seed, streamed=True)) for seed in range(3)]
        failed = pool.submit(spoken, tts, Request(text=TEXT, voice=prompted(), streamed=True))
        with pytest.raises(ZeroDivisionError, match="a broken stage"):
            failed.result()
        assert all(each.result().size for each in good)
    assert not tts._callers.rows.taken


def test_a_stream_that_is_dropped_gives_its_row_back(tiny: Pipeline) -> None:
    """A generator may be collected at any moment, in the middle of a turn of this very thread."""

    def collecting(mel: Tensor, *rest: Any) -> Tensor:
        gc.collect()
        return plain(mel, *rest)

    plain = quick(tiny).model.stages.vocode
    tts = quick(tiny, vocode=collecting)
    cycle: list[Any] = [tts.stream(TEXT, seed=2)]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    assert len(tts._callers.rows.taken) == 1

    assert joined(tts.stream(SHORT)).size
    assert not tts._callers.rows.taken


def test_one_alone_takes_its_own_turns(tiny: Pipeline) -> None:
    """The row of a caller who is alone is the only one that there is."""
    stream = tiny.stream(TEXT)
    next(stream)
    cache = tiny._callers.rows.cache
    assert cache is not None and cache.rows == 1
    stream.close()
    assert tiny._callers.rows.bytes == 0
