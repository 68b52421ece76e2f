"""Graphs: the same numbers as the plain networks, state carried as tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from cosyrt.accel.backend.graphs import LanguageGraph, VelocityGraph, VocoderGraph, keep
from cosyrt.models.flow import DiTFlow, Flow
from cosyrt.models.layers import attention_mask
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests import tiny, tiny3

CHUNKS = (50, 100, 33)


@pytest.mark.parametrize("make", [tiny.flow, tiny3.flow], ids=["unet", "dit"])
def test_a_velocity_resumes_from_tensors_as_from_a_cache(make: Callable[[], Flow | DiTFlow]) -> None:
    """Chunk after chunk the graph gives what the network gives, and leaves the same cache behind."""
    velocity = make().velocity
    graph = VelocityGraph(velocity)
    draw = torch.Generator().manual_seed(0)
    plain, ours, start = StreamCache(), StreamCache(), 0
    with torch.inference_mode():
        empty, kinds = graph.empty(2, 80)
        for frames in CHUNKS:
            end = start + frames
            x, mu, prompt = (torch.randn(2, 80, frames, generator=draw) for _ in range(3))
            t, speaker = torch.tensor([0.3, 0.3]), x[:, :, 0]
            mask, valid = attention_mask(torch.ones(2, end).bool(), 50, start), torch.ones(2, 1, frames)
            inputs = FlowInputs(x, valid, mask, mu, t, speaker, prompt)
            want = velocity(inputs, plain.begin())
            past, positions = ours.slots() or empty, graph.positions(start, end)
            got, *new = graph(*inputs._replace(t=graph.timed(t)), *positions, *past)
            keep(ours.begin(), kinds, new)
            start = end

            assert torch.allclose(got, want, atol=1e-5)
        for one, two in zip(plain.slots(), ours.slots(), strict=True):
            assert torch.allclose(one, two, atol=1e-5)


def test_without_a_cache_nothing_is_kept() -> None:
    """A whole utterance starts from nothing and leaves nothing behind."""
    graph = VelocityGraph(tiny.flow().velocity)
    with torch.inference_mode():
        empty, kinds = graph.empty(2, 80)

    keep(None, kinds, empty)
    assert set(kinds) == {"left context", "keys or values"}


def test_the_language_model_reads_its_past_from_tensors() -> None:
    """A prompt, then a token: the same expectation, the same keys and values; hidden room has no say."""
    llm = tiny.language_model()
    graph = LanguageGraph(llm)
    text, speech = torch.arange(6)[None], torch.arange(4)[None]
    with torch.inference_mode():
        cache = llm.empty_cache(1, 16)
        x = llm.prompt(text, speech)
        before = torch.ones(12, 12, dtype=torch.bool).tril()[None, None]
        positions = torch.arange(12)[None]
        want = llm(x, positions, before, cache)
        nothing = [layer[:, :, :0] for side in (cache.keys, cache.values) for layer in side]
        got, keys, values = graph(x, positions, before[..., :0], before, *nothing)
        assert torch.allclose(got, want, atol=1e-5)
        assert torch.allclose(keys, cache.keys[:, :, :, :12], atol=1e-5)

        one = llm.speech_embedding(torch.tensor([[7]]))
        position, mask = torch.tensor([[12]]), torch.ones(1, 1, 1, 13, dtype=torch.bool)
        past = torch.arange(15)[None, None, None] < 12
        room = [F.pad(layer, (0, 0, 0, 3), value=9.0) for side in (keys, values) for layer in side]
        got, *_ = graph(one, position, past, mask[..., :1], *room)
        assert torch.allclose(got, llm(one, position, mask, cache), atol=1e-5)


def test_the_vocoder_without_its_transforms() -> None:
    """Transform, graph, inverse transform: the samples of the plain vocoder."""
    vocoder = tiny.vocoder()
    graph = VocoderGraph(vocoder)
    mel, excitation = torch.randn(1, 80, 9), torch.randn(1, 1, 9 * 480)
    with torch.inference_mode():
        spectrum = graph(mel, vocoder.spectrum(excitation.squeeze(1)))

        assert torch.equal(vocoder.waveform(spectrum), vocoder.decode(mel, excitation))
