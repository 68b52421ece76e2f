"""How fast a stream is made, and when it may begin a boundary earlier; every clock is the test's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cosyrt.engine.audio_stream import AudioStream
from cosyrt.engine.chunks import Chunking
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.pace import Boundaries, Calls, Pace, SlowestLately, StreamPace, call_s
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.schedule import Playback
from cosyrt.engine.token_stream import END
from cosyrt.engine.turns import voiced
from tests.engine.pipelines import prompted, same

TOKEN_S, WITHHELD_S = 0.04, 0.1  # of CosyVoice 3; of 2 too much is withheld for an early beginning
CHUNKING = Chunking()


class Clock:
    """A clock that work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Costs:
    """What a made-up machine takes for its work."""

    def __init__(self, text_s: float, token_s: float, call_s: float, frame_s: float) -> None:
        self.text_s, self.token_s, self.call_s, self.frame_s = text_s, token_s, call_s, frame_s

    def chunk_s(self, tokens: int) -> float:
        return self.call_s + self.frame_s * tokens

    def known(self, prompt: int) -> Pace:
        """A pace that has seen all of it."""
        pace, first = Pace(), CHUNKING.first_boundary(prompt)
        pace.token.add(self.token_s)
        for hop in (25, 50, 100):
            pace.add_chunk(hop, self.chunk_s(hop))
        spoken = first + CHUNKING.lookahead_tokens
        pace.begin.add(self.text_s + spoken * self.token_s + self.chunk_s(-(-first // 25) * 25))
        return pace


def listened(costs: Costs, prompt: int, pieces: Sequence[int], early: int) -> Playback:
    """What somebody hears of pieces of so many tokens; the first chunk ends at `early`, unless that is 0."""
    playback, now = Playback(), 0.0
    for number, tokens in enumerate(pieces):
        now += costs.text_s
        boundaries = list(islice(CHUNKING.boundaries(prompt), 40))
        cuts = [early, *boundaries] if early and not number else boundaries
        spoken = done = 0
        for cut in [cut for cut in cuts if cut + CHUNKING.lookahead_tokens <= tokens]:
            now += (cut + CHUNKING.lookahead_tokens - spoken) * costs.token_s
            now += costs.chunk_s(-(-(cut - done) // 25) * 25)
            held_s = WITHHELD_S if not done else 0.0
            playback.give((cut - done) * TOKEN_S - held_s, now)
            spoken, done = cut + CHUNKING.lookahead_tokens, cut
        now += (tokens - spoken) * costs.token_s + costs.chunk_s(tokens - done)
        playback.give((tokens - done) * TOKEN_S + (WITHHELD_S if done else 0.0), now)
    return playback


# Of a text, of a token, of a call and of a token in it: about a third of such machines may begin early.
COSTS = st.builds(Costs, *(st.floats(1e-5, most) for most in (0.05, 0.008, 0.05, 0.004)))


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    COSTS,
    st.integers(14, 24),
    st.lists(st.integers(20, 400), min_size=1, max_size=4),
)
def test_an_early_beginning_opens_no_gap(costs: Costs, over: int, pieces: list[int]) -> None:
    """Whatever a machine takes, however long pieces are: no gap is longer than with the fixed boundary."""
    prompt, early = 50 + over, 25 - over
    cuts = Boundaries(chunking=CHUNKING, prompt_tokens=prompt, token_s=TOKEN_S, withheld_s=WITHHELD_S)
    assume(cuts.keep_playing(early, StreamPace(costs.known(prompt), Clock())))
    begins_early, fixed = (listened(costs, prompt, pieces, cut) for cut in (early, 0))

    assert begins_early.gap_s <= fixed.gap_s + 1e-9
    assert begins_early.began_s is not None and fixed.began_s is not None
    if pieces[0] >= early + 25 + CHUNKING.lookahead_tokens:  # else no chunk ends at the fixed boundary
        assert begins_early.began_s < fixed.began_s


@pytest.mark.parametrize(("times_as_fast", "begins_early"), [(20, True), (3, False), (0.5, False)])
def test_only_a_fast_machine_begins_early(times_as_fast: float, begins_early: bool) -> None:
    """Eight frames are there to make the next second: three times as fast as speech is not enough."""
    each_s = TOKEN_S / times_as_fast / 2
    costs, prompt = Costs(0.01, each_s, 0.001, each_s), 64
    cuts = Boundaries(chunking=CHUNKING, prompt_tokens=prompt, token_s=TOKEN_S, withheld_s=WITHHELD_S)
    early = CHUNKING.early_boundary(prompt)

    assert early == 11
    assert cuts.keep_playing(early, StreamPace(costs.known(prompt), Clock())) is begins_early
    assert not cuts.keep_playing(early, StreamPace(Pace(), Clock()))


def test_slow_is_believed_at_once_and_fast_with_time() -> None:
    """A larger value counts at once, a smaller one a tenth."""
    seen = SlowestLately()
    for seconds in (1.0, 2.0, 1.0):
        seen.add(seconds)

    assert seen.value == pytest.approx(1.9)


def test_a_chunk_costs_no_more_than_what_was_seen_says() -> None:
    """A smaller chunk takes as long as a larger one at most, a larger one as much for each token."""
    pace = Pace()
    pace.add_chunk(25, 1.0)
    pace.add_chunk(100, 3.0)

    assert [pace.chunk_s(tokens) for tokens in (10, 25, 50, 100, 200)] == [1.0, 1.0, 2.0, 3.0, 6.0]
    assert call_s([(10, 1.0), (20, 1.5)], 15) == 1.5
    assert call_s([(10, 1.0), (20, 1.5)], 40) == 3.0


def test_a_plan_is_known_before_the_first_stream(tiny3: Pipeline) -> None:
    """A plan has times of all stages that a stream needs; where one is missing, nothing is known."""
    known = tiny3.model.settings
    mel, steps = 80 * known.rates.frames(100), known.flow.solver.steps
    calls: Calls = {
        "prefill": [(20, 0.2)],
        "step": [(20, 0.01), (200, 0.02)],
        "velocity": [(known.flow.branches * mel, 0.1)],
        "vocode": [(mel, 0.5)],
    }
    pace = Pace.measured(calls, known)

    assert pace.is_known and pace.token_s == 0.02
    assert pace.chunk_s(100) == pytest.approx(0.1 * steps + 0.5)
    assert Pipeline(replace(tiny3.model, calls=calls)).conditions.pace.is_known
    assert not Pace.measured({**calls, "vocode": []}, known).is_known


class Stream:
    """A stream of the tiny model on a clock that tokens and the velocity move."""

    def __init__(self, tiny3: Pipeline, token_s: float, frame_s: float) -> None:
        self.clock, self.token_s, model = Clock(), token_s, tiny3.model

        def velocity(inputs: Any, cache: Any) -> torch.Tensor:
            self.clock.now += frame_s * inputs.frames
            return model.plain.velocity(inputs, cache)

        self.model = replace(model, stages=model.plain._replace(velocity=velocity))
        voice = prompted(speech_tokens=np.arange(16) % 50, mel=np.zeros((32, 80)))
        self.condition = Condition.of(voice, model.plain, model.device)
        self.taken = 0

    def tokens(self, count: int) -> Iterator[int]:
        """Speech tokens, each of which takes time."""
        self.taken = 0
        for number in range(count):
            self.clock.now += self.token_s
            self.taken += 1
            yield number % 50
        yield END

    def speak(
        self, count: int = 70, *, streamed: bool = True, exact: bool = False
    ) -> tuple[int, np.ndarray]:  # float32 [N]
        """How many tokens there were when the first audio came, and all samples."""
        request = Request(text="", streamed=streamed, chunked=True, exact=exact)
        audio = AudioStream(
            self.model, request, self.condition, torch.Generator().manual_seed(0), clock=self.clock
        )
        first, samples = 0, list[np.ndarray]()
        for made in voiced(audio, self.tokens(count)):
            assert isinstance(made, np.ndarray)
            first, samples = first or self.taken, [*samples, made]
        return first, np.concatenate(samples)


def test_a_stream_learns_from_its_own_chunks(tiny3: Pipeline) -> None:
    """The first stream begins at the fixed boundary, the second at the one before, with the same samples."""
    stream = Stream(tiny3, token_s=1e-4, frame_s=1e-6)
    whole = stream.speak(streamed=False)[1]
    fixed, early = stream.speak(), stream.speak()

    assert (fixed[0], early[0]) == (34 + 3, 9 + 3)
    assert same(fixed[1], whole) and same(early[1], whole)
    assert stream.speak(exact=True)[0] == fixed[0]  # cut alike each time


def test_a_slow_machine_goes_on_as_it_did(tiny3: Pipeline) -> None:
    """One that speaks at half the speed of speech never ends a chunk at another boundary."""
    stream = Stream(tiny3, token_s=0.04, frame_s=0.002)

    assert [stream.speak()[0] for _ in range(3)] == [37, 37, 37]
