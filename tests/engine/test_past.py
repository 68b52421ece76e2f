"""The past of a stream: step by step less is kept, and frames stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.engine.past import Past, StepCache
from cosyrt.engine.stages import Networks, Stages
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests.engine.test_mel_stream import in_parts, one_pass, speech, stream_of


class Watched:
    """A velocity that counts the frames of its calls."""

    def __init__(self, stages: Stages) -> None:
        self.frames: list[int] = []
        self.plain = stages.velocity
        self.stages = stages._replace(velocity=self.velocity)

    def velocity(self, inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        self.frames.append(inputs.frames)
        return self.plain(inputs, cache)


def filled() -> Past:
    """Three steps with 4 kB of keys each, and their inputs."""
    past = Past(velocity=[StepCache() for _ in range(3)])
    for cache in past.velocity:
        cache.append(torch.zeros(1, 2, 50, 10))
        x = torch.zeros(1, 4, 5)
        cache.inputs = FlowInputs(x, x[:, :1], x, x, x, x, x)
    return past


def test_steps_are_dropped_from_the_last_one_as_far_as_needed() -> None:
    """A budget costs as many steps as it must; their inputs stay."""
    past = filled()
    assert past.bytes == 3 * (4000 + 260)
    past.shrink(past.bytes)
    assert past.kept == 3
    past.shrink(past.bytes - 1)
    assert [cache.kept for cache in past.velocity] == [True, True, False]
    past.shrink(0)
    assert past.kept == 0 and past.bytes == 3 * 260


def test_a_copy_drops_steps_of_its_own() -> None:
    """Steps that a stream drops, the voice's own past keeps."""
    past = filled()
    copy = past.copy()
    copy.shrink(0)

    assert past.kept == 3 and copy.copy().kept == 0


@pytest.mark.parametrize("prompt_tokens", [0, 40])
@pytest.mark.parametrize("kept", [0, 3, 9])
def test_a_stream_that_keeps_some_steps_is_the_same_stream(
    stages: Stages, networks: Networks, prompt_tokens: int, kept: int
) -> None:
    """Dropped steps compute every frame again, the others the new ones; the mel is that of one pass."""
    watched = Watched(stages)
    mels = stream_of(watched.stages, prompt_tokens, chunked=True)
    tokens = speech(90)
    first = mels.until(tokens[:38], 35 if prompt_tokens else 25)
    assert mels.past is not None
    for cache in mels.past.velocity[kept:]:
        cache.drop()
    watched.frames.clear()
    done = mels.past.tokens
    rest = mels.until(tokens, None)
    every = 2 * (prompt_tokens + 90)

    assert watched.frames == [every - 2 * done] * kept + [every] * (10 - kept)
    twin = one_pass(networks, prompt_tokens, tokens, chunk=25)
    torch.testing.assert_close(torch.cat([first, rest], dim=2), twin, atol=1e-4, rtol=0)


def past_within(stages: Stages, cache_bytes: int) -> Past:
    """After a whole stream."""
    mels = stream_of(stages, 40, chunked=True, cache_bytes=cache_bytes)
    in_parts(mels, speech(90))
    assert mels.past is not None
    return mels.past


def test_a_stream_stays_within_its_budget(stages: Stages) -> None:
    """After every chunk what is kept fits; a smaller budget keeps fewer steps."""
    most, least = past_within(stages, 1 << 40), past_within(stages, 0)
    budgets = [least.bytes + part * (most.bytes - least.bytes) // 4 for part in (3, 1)]
    pasts = [past_within(stages, budget) for budget in budgets]

    assert all(past.bytes <= budget for past, budget in zip(pasts, budgets, strict=True))
    assert [past.kept > 0 for past in pasts] == [True, True]
    assert most.kept == 10 > pasts[0].kept > pasts[1].kept > least.kept == 0
