"""Rows of an engine that makes the tokens itself: speech as from any other rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from cosyrt.engine.decoding import LanguageModelInput, Pause, complete
from cosyrt.engine.engine_rows import EngineRow, EngineRows, rows_on
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Rows
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.token_engine import Generation, TokenRequest
from cosyrt.errors import SpeechError

CPU = torch.device("cpu")


class Made:
    """The tokens of one request, all there from the beginning; every other time there is nothing to take."""

    def __init__(self, tokens: Iterator[int | SpeechError]) -> None:
        self.tokens, self.asked, self.cancelled = deque(tokens), 0, False

    def take(self) -> int | SpeechError | None:
        self.asked += 1
        return self.tokens.popleft() if self.tokens and self.asked % 2 else None

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(eq=False)
class LocalEngine:
    """An engine that has the plain stages read a request at once, with the seed that it was given."""

    model: Model
    error: SpeechError | None = None
    longest: int = 10_000

    def __post_init__(self) -> None:
        self.made: list[Made] = []

    def takes(self, positions: int) -> bool:
        return positions < self.longest

    def submit(self, request: TokenRequest) -> Generation:
        self.made.append(Made(iter([self.error]) if self.error else self._tokens(request)))
        return self.made[-1]

    def wait(self, generations: Sequence[Generation], timeout_s: float) -> None:
        assert 0 < timeout_s < 1

    def _tokens(self, request: TokenRequest) -> Iterator[int]:
        decoding = self.model.settings.decoding
        given = LanguageModelInput(request.given.text, [], request.given.speech)
        decoder = complete(decoding, given)
        rng = torch.Generator().manual_seed(request.seed)
        yield from speech_tokens(self.model.plain, decoder, rng, CPU)
        yield decoding.end_token


def with_engine(tts: Pipeline, engine: LocalEngine) -> Pipeline:
    return Pipeline(replace(tts.model, stages=tts.model.stages.replacing(engine=engine)))


def test_the_engine_makes_the_tokens_of_whole_texts(tiny: Pipeline) -> None:
    """Speech comes, the same again for the same seed and another for another, and no cache is taken."""
    engine = LocalEngine(tiny.model)
    tts = with_engine(tiny, engine)
    first, again, other = (tts.say("hello there", seed=seed) for seed in (1, 1, 2))

    assert len(engine.made) >= 3 and all(made.cancelled for made in engine.made)
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)


def test_ten_at_once_are_what_each_is_alone(tiny: Pipeline) -> None:
    """Tokens that have not come stall nobody, and no utterance gets those of another."""
    tts = with_engine(tiny, LocalEngine(tiny.model))
    alone = [tts.say("hi", seed=seed, chunked=True) for seed in range(10)]
    with Scheduler(tts, SchedulerConfig(max_active=10)) as scheduler:
        tickets = [scheduler.submit(Request(text="hi", seed=seed)) for seed in range(10)]
        found = [np.concatenate([audio.samples for audio in ticket]) for ticket in tickets]

    for one, many in zip(alone, found, strict=True):
        assert np.allclose(one.samples, many, atol=1e-5)


def test_who_leaves_cancels(tiny: Pipeline) -> None:
    """A stream that is closed in the middle wants no more tokens."""
    engine = LocalEngine(tiny.model)
    speech = with_engine(tiny, engine).stream("hello there, how are you")
    next(speech)
    speech.close()

    assert engine.made and all(made.cancelled for made in engine.made)


def test_an_error_of_the_engine_ends_its_utterance(tiny: Pipeline) -> None:
    """Whoever asked is told what the engine said."""
    engine = LocalEngine(tiny.model, SpeechError("the process of vLLM ended with 3"))
    with pytest.raises(SpeechError, match="the process of vLLM ended with 3"):
        with_engine(tiny, engine).say("hello there")


def test_what_the_engine_does_not_take_is_read_here(tiny: Pipeline, tiny3: Pipeline) -> None:
    """A text that is too long, one that is still being written, and a request that shares no batch."""
    engine = LocalEngine(tiny.model, longest=1)
    tts = with_engine(tiny, engine)

    assert np.array_equal(tts.say("hello there", seed=1).samples, tiny.say("hello there", seed=1).samples)
    engine.longest = 10_000
    exact = Request(text="hello there", seed=1, exact=True, streamed=False)
    plain = np.concatenate([audio.samples for audio in tiny.run(exact)])
    assert np.array_equal(np.concatenate([audio.samples for audio in tts.run(exact)]), plain)
    written = LocalEngine(tiny3.model)
    assert list(with_engine(tiny3, written).stream(iter(["hello ", "there"]), interleave=True))
    assert engine.made == written.made == []


def test_rows_of_both_kinds_are_read_in_one_call(tiny: Pipeline) -> None:
    """One utterance of the engine beside one of the cache; both leave nothing behind."""
    engine = LocalEngine(tiny.model)
    decoding = tiny.model.settings.decoding
    rows = rows_on(tiny.model.plain.replacing(engine=engine), decoding, CPU, capacity=2)
    assert isinstance(rows, EngineRows)
    text = LanguageModelInput([1, 2, 3], [], [])
    theirs = rows.join(complete(decoding, text), torch.Generator().manual_seed(0))
    engine.longest = 0
    ours = rows.join(complete(decoding, text), torch.Generator().manual_seed(0))

    assert isinstance(theirs, EngineRow) and not isinstance(ours, EngineRow) and rows.free == 0
    assert theirs.left == 1 and rows.bytes_for(2) > 0
    assert all(isinstance(token, int) for token in rows.step([theirs, ours]))
    while theirs.decoder.next_input() is not Pause.FINISHED:
        rows.step([theirs])
    assert theirs.decoder.spoken >= theirs.decoder.limits[0]
    rows.leave(theirs)
    rows.leave(ours)
    assert rows.free == 2 and rows.cache is None and rows.bytes_for(2) == 0


def test_without_an_engine_rows_are_plain(tiny: Pipeline) -> None:
    """Nobody who has none pays for it."""
    assert type(rows_on(tiny.model.plain, tiny.model.settings.decoding, CPU)) is Rows
