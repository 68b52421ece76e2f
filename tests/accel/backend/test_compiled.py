"""Stages around graphs, with the module itself in the graph's place: what is compiled, and for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cosyrt.accel.backend.compiled import compiled_stages
from cosyrt.engine.mel_stream import Condition, MelStream
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.models.llm import SPEECH
from cosyrt.models.solver import solve, solved, step
from cosyrt.units import Rates
from cosyrt.voice.voice import Voice
from tests import tiny

TOKENS = np.random.default_rng(1).integers(0, tiny.SPEECH_VOCABULARY, 80).tolist()


class Compiler:
    """Compiles nothing; remembers what it was asked for, and which graph was called with how many rows."""

    def __init__(self) -> None:
        self.examples: list[tuple[Tensor, ...]] = []
        self.calls: list[tuple[int, int]] = []  # (number of the graph, rows)

    def __call__(self, module: nn.Module, example: tuple[Tensor, ...]) -> Any:
        self.examples.append(example)
        number = len(self.examples) - 1
        module(*example)

        def graph(*args: Tensor) -> Any:
            self.calls.append((number, len(args[0])))
            return module(*args)

        return graph


def networks_with(guidance: float) -> Networks:
    """The tiny networks, whose flow is guided or not."""
    flow = tiny.flow()
    flow.config = replace(flow.config, guidance=guidance)
    return Networks(llm=tiny.language_model(), flow=flow, vocoder=tiny.vocoder())


def stream_of(networks: Networks, stages: Stages, *, chunked: bool) -> MelStream:
    """Stream with a prompt of 30 tokens."""
    draw = np.random.default_rng(0)
    voice = Voice(
        name="test",
        speaker=draw.standard_normal(192),
        speech_tokens=draw.integers(0, tiny.SPEECH_VOCABULARY, 30),
        mel=draw.standard_normal((60, 80)),
    )
    condition = Condition.of(voice, stages, torch.device("cpu"))
    return MelStream(stages, networks.flow.config, condition, chunked=chunked, rates=Rates())


def mels(networks: Networks, stages: Stages, *, chunked: bool) -> Tensor:  # [1, 80, M]
    """Mel of 80 tokens, whole or in three chunks."""
    stream = stream_of(networks, stages, chunked=chunked)
    boundaries = (20, 45, None) if chunked else (None,)
    return torch.cat([stream.until(TOKENS, boundary) for boundary in boundaries], dim=2)


@pytest.mark.parametrize("graphs", [1, 2])
@pytest.mark.parametrize("guidance", [0.0, 0.7])
def test_a_velocity_by_graphs_is_the_velocity(guidance: float, graphs: Literal[1, 2]) -> None:
    """Guided or not, whole or streamed: the same mel, and rows as many as there are branches."""
    networks, compiler = networks_with(guidance), Compiler()
    plain = eager(networks)
    fast = compiled_stages("velocity", networks, plain, compiler, graphs=graphs)
    for chunked in (False, True):
        want, got = (mels(networks, stages, chunked=chunked) for stages in (plain, fast))
        torch.testing.assert_close(got, want, atol=1e-4, rtol=0)

    rows = 1 if guidance == 0 else 2
    assert len(compiler.examples) == graphs
    assert set(compiler.calls) == {(number, rows) for number in range(graphs)}


def test_packed_streams_are_computed_one_by_one() -> None:
    """A graph resumes from one stream's cache: each of the packed streams has a call of its own."""
    networks, compiler = networks_with(0.7), Compiler()
    plain = eager(networks)
    fast = compiled_stages("velocity", networks, plain, compiler)
    streams = [stream_of(networks, fast, chunked=True) for _ in range(2)]
    boundaries = (20, 45)
    mels = [stream.solving(TOKENS, boundary) for stream, boundary in zip(streams, boundaries, strict=True)]
    states = [next(mel) for mel in mels]
    before = len(compiler.calls)
    step(fast.velocity, states)
    assert len(compiler.calls) == before + 2

    for mel, state, boundary in zip(mels, states, boundaries, strict=True):
        solve(fast.velocity, state)
        alone = stream_of(networks, plain, chunked=True).until(TOKENS, boundary)
        torch.testing.assert_close(solved(fast.velocity, mel), alone, atol=1e-4, rtol=0)


def test_a_mel_in_one_piece_brings_nothing_back() -> None:
    """The graph for whole mels has no keys and values among its results; the other has."""
    networks, compiler = networks_with(0.7), Compiler()
    compiled_stages("velocity", networks, eager(networks), compiler)
    goes_on, whole = compiler.examples

    assert len(whole) == 7 < len(goes_on)


def heard(stages: Stages) -> Tensor:  # [S, 2, V]
    """Two prompts, of which one is shorter and padded, then tokens at different positions of each."""
    cache, text = stages.new_cache(2, 200), torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    found = [stages.prefill(text, text[:, :0], cache)]
    for count in range(70):
        position = torch.tensor([6 + count, 4 + count])
        mask = torch.arange(7 + count) <= position[:, None]
        found.append(stages.step(torch.tensor([1, 2]), position, mask[:, None, None], cache))
    return torch.stack(found)


def test_rows_may_stand_at_different_positions() -> None:
    """Each row's keys and values go to its own positions, also when the room for them grows."""
    networks = networks_with(0.0)
    plain = eager(networks)
    fast = compiled_stages("llm", networks, plain, Compiler())

    torch.testing.assert_close(heard(fast), heard(plain), atol=1e-4, rtol=0)


def test_text_is_read_while_it_is_spoken() -> None:
    """Several positions at once behind a past, in a cache that is made larger."""
    networks = networks_with(0.0)
    plain = eager(networks)
    fast = compiled_stages("llm", networks, plain, Compiler())

    torch.testing.assert_close(read_in_parts(fast), read_in_parts(plain), atol=1e-4, rtol=0)


def read_in_parts(stages: Stages) -> Tensor:  # [parts, V]
    """Log-probabilities behind parts of 7, 14, 21 … speech tokens."""
    cache, start, found = stages.new_cache(1, 7), 0, []
    for part in range(7, 42, 7):
        if start + part > cache.positions:
            cache = cache.grown(2 * (start + part))
        numbers, positions = torch.arange(part)[None], torch.arange(start, start + part)[None]
        mask = torch.arange(start + part) <= positions[0, :, None]
        kinds = torch.full_like(numbers, SPEECH)
        found.append(stages.read(numbers, kinds, positions, mask[None, None], cache))
        start += part
    return torch.cat(found)
