"""Velocity of several streams in one call: packed along the frames, each as it is alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from cosyrt.engine.stages import tabulated
from cosyrt.models.flow import DiTFlow, Flow
from cosyrt.models.layers import attention_mask
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import Call, FlowInputs, Velocity, one_by_one, packed, unpacked
from tests import tiny, tiny3

CHUNK = 50
# Frames before the call and in it, and the time: chunks of other sizes, a first chunk, an utterance's end.
STREAMS = ((100, 50, 0.3), (300, 100, 0.3), (0, 50, 0.1), (50, 17, 0.9))
FAMILIES = pytest.mark.parametrize("flow", [tiny.flow, tiny3.flow], ids=["unet", "dit"])


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def velocity_of(flow: Callable[[], Flow | DiTFlow]) -> Velocity:
    """Velocity of the network at any time, as the engine calls it."""
    network = flow().velocity.requires_grad_(False)
    timed = tabulated(network.timed)
    return lambda inputs, cache: network(inputs._replace(t=timed(inputs.t)), cache)


def inputs_of(number: int, start: int, end: int, t: float) -> FlowInputs:
    """Some frames of a stream in both branches; the second is without conditions."""
    random = torch.Generator().manual_seed(number)
    x, mu, prompt = torch.randn(3, 1, 80, 400, generator=random)[:, :, :, start:end]
    speaker = torch.randn(1, 80, generator=random)
    mask = attention_mask(torch.ones(2, end, dtype=torch.bool), CHUNK, start)
    return FlowInputs(
        x=torch.cat([x, x]),
        valid=torch.ones(2, 1, end - start),
        mask=mask,
        mu=torch.cat([mu, 0 * mu]),
        t=torch.tensor([t, t]),
        speaker=torch.cat([speaker, 0 * speaker]),
        prompt=torch.cat([prompt, 0 * prompt]),
    )


def calls(velocity: Velocity) -> list[Call]:
    """Next call of each stream; its past was computed chunk by chunk."""
    made: list[Call] = []
    for number, (past, frames, t) in enumerate(STREAMS):
        cache = StreamCache()
        for start in range(0, past, CHUNK):
            velocity(inputs_of(number, start, start + CHUNK, t), cache.begin())
        made.append((inputs_of(number, past, past + frames, t), cache.begin()))
    return made


def alone(velocity: Velocity) -> Tensor:
    """Velocity of every stream in a call of its own, side by side."""
    return torch.cat([velocity(*call) for call in calls(velocity)], dim=2)


@FAMILIES
def test_packed_streams_are_what_each_is_alone(flow: Callable[[], Flow | DiTFlow]) -> None:
    """Other pasts, lengths, times and speakers, two branches: equal to the last bit on one thread."""
    velocity = velocity_of(flow)
    with threads(1), torch.inference_mode():
        assert torch.equal(velocity(*packed(calls(velocity))), alone(velocity))


@FAMILIES
def test_packed_streams_on_several_threads(flow: Callable[[], Flow | DiTFlow]) -> None:
    """Work is shared out by size there, so sums may run in another order."""
    velocity = velocity_of(flow)
    with threads(2), torch.inference_mode():
        out = velocity(*packed(calls(velocity)))
        torch.testing.assert_close(out, alone(velocity), atol=1e-5, rtol=0)


@FAMILIES
def test_a_packed_call_leaves_every_cache_as_it_is_alone(flow: Callable[[], Flow | DiTFlow]) -> None:
    """After it a stream goes on alone, or packed with others."""
    velocity = velocity_of(flow)
    with threads(1), torch.inference_mode():
        one, other = calls(velocity), calls(velocity)
        velocity(*packed(one))
        for call in other:
            velocity(*call)
    for (_, ours), (_, plain) in zip(one, other, strict=True):
        assert ours is not None and plain is not None
        assert all(torch.equal(a, b) for a, b in zip(ours.slots(), plain.slots(), strict=True))


@FAMILIES
def test_neighbours_change_nothing(flow: Callable[[], Flow | DiTFlow]) -> None:
    """Beside other streams of the same shapes, a stream is the same to the last bit."""
    velocity = velocity_of(flow)
    with torch.inference_mode():
        (inputs, cache), *rest = calls(velocity)
        assert cache is not None
        other = cache.copy()
        first = velocity(*packed([(inputs, cache), *rest]))
        changed = [(call._replace(mu=-call.mu), stream) for call, stream in calls(velocity)[1:]]
        second = velocity(*packed([(inputs, other.begin()), *changed]))

    assert torch.equal(first[:, :, : inputs.frames], second[:, :, : inputs.frames])
    assert not torch.equal(first, second)


def test_a_stream_without_a_cache_is_packed_too() -> None:
    """A whole utterance beside a stream: it starts from nothing, and nothing of it is kept."""
    velocity = velocity_of(tiny.flow)
    whole = inputs_of(7, 0, 90, 0.4)
    with threads(1), torch.inference_mode():
        both = velocity(*packed([(whole, None), calls(velocity)[0]]))
        assert torch.equal(both[:, :, :90], velocity(whole, None))


def test_packed_calls_can_be_taken_apart() -> None:
    """For what runs one stream at a time: the calls that were packed, and the velocity of all of them."""
    velocity = velocity_of(tiny.flow)
    with threads(1), torch.inference_mode():
        made = calls(velocity)
        for (inputs, cache), (again, stream) in zip(made, unpacked(*packed(made)), strict=True):
            assert stream is cache
            assert all(torch.equal(a, b) for a, b in zip(inputs, again, strict=True))
        assert torch.equal(one_by_one(velocity, *packed(made)), alone(velocity))
