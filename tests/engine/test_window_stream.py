"""Windows of CosyVoice 1: where they end, what they share, how they are joined."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyrt.engine.chunks import WindowChunking
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.engine.window_stream import WindowStream
from cosyrt.models.solver import solved, step
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from cosyrt.units import Rates
from cosyrt.voice.voice import Voice
from tests import tiny1
from tests.engine.pipelines import Counted

RATES = Rates(sample_hz=22_050, token_hz=50, frames_per_token=Fraction(22_050, 50 * 256))
CHUNKING = WindowChunking(hop_tokens=50, longest_tokens=100, lookahead_tokens=20)
TOKENS = torch.randint(0, 4_000, (183,), generator=torch.Generator().manual_seed(1)).tolist()


@pytest.fixture(scope="module")
def stages() -> Stages:
    return eager(Networks(llm=tiny1.language_model(), flow=tiny1.flow(), vocoder=tiny1.vocoder()))


def voice(prompt_tokens: int) -> Voice:
    random = np.random.default_rng(3)
    return Voice(
        name="v",
        speaker=random.standard_normal(192),
        speech_tokens=random.integers(0, 4_000, prompt_tokens),
        mel=random.standard_normal((RATES.frames(prompt_tokens), 80)),
        family="cosyvoice",
    )


def windows(stages: Stages, prompt_tokens: int = 0, *, chunked: bool = True, **chunking: Any) -> WindowStream:
    condition = Condition.of(voice(prompt_tokens), stages, torch.device("cpu"))
    return WindowStream(
        stages,
        tiny1.FLOW,
        condition,
        chunked=chunked,
        rates=RATES,
        chunking=WindowChunking(**chunking) if chunking else CHUNKING,
    )


def parts_of(stream: WindowStream, tokens: list[int]) -> list[Tensor]:
    """Ask as a session does: at each boundary as soon as its overlap is there, then for the rest."""
    parts = []
    for upto in range(1, len(tokens) + 1):
        if stream.boundary is not None and upto == stream.boundary + stream.overlap_tokens:
            parts.append(stream.until(tokens[:upto], stream.boundary))
    return [*parts, stream.until(tokens, None)]


def test_upstreams_hops() -> None:
    """Every 2 s, with 20 tokens more: the first window is whole after 120 tokens, at 25 Hz after 70."""
    assert list(islice(WindowChunking.at(50).boundaries(31), 3)) == [100, 200, 300]
    assert list(islice(WindowChunking.at(25).boundaries(0), 3)) == [50, 100, 150]
    assert WindowChunking.at(50).first_boundary(31) + WindowChunking.at(50).lookahead_tokens == 120


def test_hops_grow_up_to_the_longest() -> None:
    """Growth belongs to the walk over the boundaries: a second walk starts small again."""
    chunking = WindowChunking(hop_tokens=100, growth=1.5, longest_tokens=200)

    for _ in range(2):
        assert list(islice(chunking.boundaries(0), 5)) == [100, 250, 450, 650, 850]


@pytest.mark.parametrize("prompt_tokens", [0, 31])
def test_the_stream_is_the_whole(stages: Stages, prompt_tokens: int) -> None:
    """Asked for window by window or at once, the mel is the same."""
    parts = parts_of(windows(stages, prompt_tokens), TOKENS)
    at_once = windows(stages, prompt_tokens).until(TOKENS, None)

    assert len(parts) == 4
    torch.testing.assert_close(torch.cat(parts, dim=2), at_once, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tokens", [1, 20, 40, 41, 69, 70, 71, 119, 120, 121, 183])
def test_no_frame_is_lost(stages: Stages, tokens: int) -> None:
    """The length is that of the tokens, but for what is rounded down at each window."""
    stream = windows(stages, 7)
    parts = parts_of(stream, TOKENS[:tokens])
    frames = sum(part.shape[2] for part in parts)

    assert 0 <= RATES.frames(tokens) - frames <= len(parts) - 1
    assert stream.given == frames


def test_a_short_utterance_is_one_window(stages: Stages) -> None:
    """Below the first boundary, chunked and whole are the same."""
    one, other = (windows(stages, 31, chunked=chunked) for chunked in (True, False))

    assert torch.equal(one.until(TOKENS[:69], None), other.until(TOKENS[:69], None))


def test_a_window_costs_the_same_however_long_the_past(stages: Stages) -> None:
    """Prompt, hop and overlap are all that a window is given."""
    seen: list[int] = []

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        seen.append(inputs.frames)
        return stages.velocity(inputs, cache)

    parts_of(windows(stages._replace(velocity=velocity), 31), TOKENS)
    frames = seen[:: tiny1.FLOW.steps]

    assert frames == [RATES.frames(31) + RATES.frames(70)] * 3 + [RATES.frames(31) + RATES.frames(33)]


def test_windows_share_prompt_and_overlap(stages: Stages) -> None:
    """Where windows overlap, and in the prompt, they start from the same noise and the same encoding."""
    starts: list[Tensor] = []
    mus: list[Tensor] = []

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        starts.append(inputs.x[:1])
        mus.append(inputs.mu[:1])
        return stages.velocity(inputs, cache)

    stream = windows(stages._replace(velocity=velocity), 31)
    parts_of(stream, TOKENS)
    prompt, overlap, steps = RATES.frames(31), stream.overlap, tiny1.FLOW.steps
    for given in (starts[::steps], mus[::steps]):
        for one, next_one in pairwise(given):
            assert torch.equal(one[:, :, :prompt], next_one[:, :, :prompt])
            assert torch.equal(one[:, :, -overlap:], next_one[:, :, prompt : prompt + overlap])


def test_the_fade_changes_nothing_where_both_agree(stages: Stages) -> None:
    """Weights of the fade sum to one (upstream's to 1.08), from one window to the other."""
    stream = windows(stages)
    one, other = torch.full((1, 80, stream.overlap), 3.0), torch.full((1, 80, stream.overlap), 5.0)
    faded = stream.fade(one, other)[0, 0]

    torch.testing.assert_close(stream.fade(one, one), one)
    assert faded.diff().min() > 0
    assert (faded[0] - 3 < 0.01) and (5 - faded[-1] < 0.01)


def test_joins_are_as_smooth_as_the_rest(stages: Stages) -> None:
    """From frame to frame the mel moves no further at a join than elsewhere."""
    parts = parts_of(windows(stages, 31), TOKENS)
    moves = torch.cat(parts, dim=2).diff(dim=2).norm(dim=1)[0]
    joins = torch.tensor([part.shape[2] for part in parts[:-1]]).cumsum(0)

    assert moves[joins - 1].max() <= moves.quantile(0.99)


def test_the_overlap_follows_the_token_rate() -> None:
    """20 tokens are 34 frames at 50 Hz and 68 at 25 Hz, where upstream shares the noise of 34."""
    half = Rates(sample_hz=22_050, token_hz=25, frames_per_token=Fraction(22_050, 25 * 256))

    assert (RATES.frames(20), half.frames(20)) == (34, 68)


def test_two_streams_do_not_meet(stages: Stages) -> None:
    """Streams that take turns give what each gives alone: nothing is kept but by the stream itself."""
    alone = [parts_of(windows(stages, prompt), TOKENS) for prompt in (0, 31)]
    pair = [windows(stages, prompt) for prompt in (0, 31)]
    turns: list[list[Tensor]] = [[], []]
    for boundary in (50, 100, 150, None):
        for stream, given in zip(pair, turns, strict=True):
            given.append(stream.until(TOKENS, boundary))

    for one, other in zip(alone, turns, strict=True):
        torch.testing.assert_close(torch.cat(one, dim=2), torch.cat(other, dim=2), atol=1e-6, rtol=0)


def test_nothing_is_computed_twice(stages: Stages) -> None:
    """One encoding a window."""
    counted = Counted(stages.encode)
    parts_of(windows(stages._replace(encode=counted), 31), TOKENS)

    assert counted.calls == 4


def test_windows_that_take_steps_together_are_solved_one_by_one(stages: Stages) -> None:
    """A window looks both ways and is packed with no other: stepped with others, it is what it is alone."""
    counted = Counted(stages.velocity)
    streams = [windows(stages, prompt) for prompt in (0, 31)]
    solving = [stream.solving(TOKENS[:70], 50) for stream in streams]
    states = [next(mel) for mel in solving]
    while not states[0].done:
        step(counted, states)

    assert counted.calls == 2 * tiny1.FLOW.steps
    for prompt, mel in zip((0, 31), solving, strict=True):
        assert torch.equal(solved(counted, mel), windows(stages, prompt).until(TOKENS[:70], 50))
