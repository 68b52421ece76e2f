"""Samples chunk by chunk against samples in one piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine.stages import Networks, Stages, Vocode, eager
from cosyrt.engine.vocoder_stream import (
    PITCH_REACH_FRAMES,
    CausalVocoderStream,
    OverlappingVocoderStream,
    Pushing,
    VocodeCall,
    VocoderStream,
    reach_frames,
    vocode_together,
)
from cosyrt.models.vocoder import VocoderConfig
from tests import tiny, tiny3

OFFICIAL = VocoderConfig(channels=16, pitch_channels=8)  # 8·5·3, transform of 16 with a hop of 4
BUILTIN = replace(
    OFFICIAL,
    upsample_rates=(5, 3, 2),
    upsample_kernels=(11, 7, 4),
    transform_size=64,
    transform_hop=16,
)
GEOMETRIES = pytest.mark.parametrize("config", [OFFICIAL, BUILTIN], ids=["official", "built-in"])
FRAMES, HOP = 56, 480
TOLERANCE = 1e-5  # sums in another order; the phase, a sum of hundreds of cycles, is exact to 1e-6
CAUSAL_TOLERANCE = 1e-6  # sums in another order; samples reach 0.1 here
STAGES: dict[VocoderConfig, Stages] = {}


def stages_of(config: VocoderConfig) -> Stages:
    if config not in STAGES:
        networks = Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder(config))
        STAGES[config] = eager(networks)
    return STAGES[config]


def mel(frames: int) -> Tensor:  # [1, 80, M]
    """Some voiced and some unvoiced frames."""
    return torch.randn(1, 80, FRAMES, generator=torch.Generator().manual_seed(3))[:, :, :frames]


def generator(seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(seed)


def whole(config: VocoderConfig, frames: int, seed: int | None) -> Tensor:  # [N]
    """Stages of the vocoder, each once over everything."""
    stages = stages_of(config)
    noise = None
    if seed is not None:
        draws = generator(seed)
        size = (1, config.samples_per_frame, config.harmonics)
        noise = torch.cat([torch.randn(size, generator=draws) for _ in range(frames)], dim=1)
    pitch = stages.pitch(mel(frames), None, None)
    return stages.vocode(mel(frames), stages.excite(pitch, noise, None), None, None)[0]


def pushed(stream: VocoderStream, frames: int, cuts: list[int]) -> list[Tensor]:
    """Samples of each push; the last push brings the rest of the frames, maybe none."""
    ends = [*cuts, frames]
    return [
        stream.push(mel(frames)[:, :, start:end], last=at == len(cuts))
        for at, (start, end) in enumerate(zip([0, *cuts], ends, strict=True))
    ]


def in_parts(config: VocoderConfig, frames: int, cuts: list[int], seed: int | None) -> list[Tensor]:
    """Samples of each push to the stream of a vocoder that looks both ways."""
    return pushed(OverlappingVocoderStream(stages_of(config), config, generator(seed)), frames, cuts)


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A number of frames and places to cut them, some of them twice."""
    frames = draw(st.integers(1, FRAMES))
    return frames, sorted(draw(st.lists(st.integers(0, frames), max_size=4)))


@GEOMETRIES
@settings(deadline=None, max_examples=8)
@given(cutting=cuttings(), seed=st.sampled_from([None, 5]))
def test_any_cutting_gives_the_same_samples(
    config: VocoderConfig, cutting: tuple[int, list[int]], seed: int | None
) -> None:
    """However the mel arrives, the samples are those of the whole, with noise and without."""
    frames, cuts = cutting
    samples = torch.cat(in_parts(config, frames, cuts, seed))

    torch.testing.assert_close(samples, whole(config, frames, seed), atol=TOLERANCE, rtol=0)


@GEOMETRIES
def test_a_stream_of_single_frames(config: VocoderConfig) -> None:
    """One frame a push: samples come as soon as all within reach is there, and are those of the whole."""
    held_back = reach_frames(config) + PITCH_REACH_FRAMES + 1
    frames = held_back + 5
    parts = in_parts(config, frames, list(range(1, frames)), seed=5)

    assert [len(part) // HOP for part in parts] == [0] * held_back + [1] * 4 + [held_back + 1]
    torch.testing.assert_close(torch.cat(parts), whole(config, frames, 5), atol=TOLERANCE, rtol=0)


@GEOMETRIES
def test_noise_belongs_to_the_seed(config: VocoderConfig) -> None:
    """Another seed or no noise at all is heard."""
    one, other, none = (whole(config, 30, seed) for seed in (5, 6, None))

    assert (one - other).abs().max() > 20 * TOLERANCE
    assert (one - none).abs().max() > 20 * TOLERANCE


@GEOMETRIES
def test_an_utterance_without_frames(config: VocoderConfig) -> None:
    """No mel at all gives no samples."""
    stream = OverlappingVocoderStream(stages_of(config), config, None)

    assert stream.push(mel(0), last=True).shape == (0,)


@pytest.mark.parametrize(
    "config",
    [
        OFFICIAL,
        BUILTIN,
        replace(OFFICIAL, kernels=(3,), dilations=((1,),)),
        replace(BUILTIN, source_kernels=(3, 3, 3), source_dilations=((1,), (1,), (1,))),
    ],
    ids=["official", "built-in", "mostly source", "mostly mel"],
)
def test_the_reach_is_how_far_gradients_go(config: VocoderConfig) -> None:
    """All mel and excitation that samples depend on lie within `reach_frames`, which is hardly more."""
    reach, hop = reach_frames(config), config.samples_per_frame
    frames, at = 2 * reach + 5, reach + 2
    mel = torch.randn(1, 80, frames, requires_grad=True)
    source = (torch.rand(1, 1, frames * hop) - 0.5).requires_grad_()
    samples = tiny.vocoder(config).decode(mel, source)[0]
    samples[at * hop : (at + 1) * hop].square().sum().backward()
    assert mel.grad is not None
    assert source.grad is not None
    felt = mel.grad[0].abs().sum(0) + source.grad.view(frames, hop).abs().sum(1)

    assert reach - 1 <= (felt.nonzero() - at).abs().max() <= reach


@GEOMETRIES
def test_memory_does_not_grow(config: VocoderConfig) -> None:
    """A long stream keeps only the frames within reach."""
    stream = OverlappingVocoderStream(stages_of(config), config, generator(5))
    for _ in range(6):
        stream.push(mel(FRAMES), last=False)

    assert stream.mel is not None
    assert stream.source is not None
    assert stream.mel.shape[2] <= FRAMES + 2 * reach_frames(config)
    assert stream.source.shape[2] <= stream.mel.shape[2] * config.samples_per_frame


@pytest.fixture(scope="module")
def causal_stages() -> Stages:
    vocoder = tiny3.vocoder()
    vocoder.f0_predictor.double()
    return eager(Networks(llm=tiny3.language_model(), flow=tiny3.flow(), vocoder=vocoder))


def causal_whole(stages: Stages, frames: int, seed: int | None) -> Tensor:  # [N]
    """Stages of the causal vocoder, each once over everything."""
    noise = None if seed is None else torch.rand(1, frames * HOP, 9, generator=generator(seed))
    source = stages.excite(stages.pitch(mel(frames), None, None), noise, None)
    return stages.vocode(mel(frames), source, None, None)[0]


def causal_parts(stages: Stages, frames: int, cuts: list[int], seed: int | None) -> list[Tensor]:
    """Samples of each push to the stream of the causal vocoder."""
    return pushed(CausalVocoderStream(stages, tiny3.VOCODER, generator(seed)), frames, cuts)


@settings(deadline=None, max_examples=15)
@given(cutting=cuttings(), seed=st.sampled_from([None, 5]))
def test_any_cutting_of_a_causal_stream_gives_the_samples_of_the_whole(
    causal_stages: Stages, cutting: tuple[int, list[int]], seed: int | None
) -> None:
    """Pushed in any parts, even empty ones, the samples are those of one piece, one for one."""
    frames, cuts = cutting
    samples = torch.cat(causal_parts(causal_stages, frames, cuts, seed))

    torch.testing.assert_close(
        samples, causal_whole(causal_stages, frames, seed), atol=CAUSAL_TOLERANCE, rtol=0
    )


def test_samples_come_as_soon_as_they_are_certain(causal_stages: Stages) -> None:
    """Four frames and four samples are waited for; upstream waits for eight frames."""
    parts = causal_parts(causal_stages, FRAMES, [4, 5, 25], None)

    assert [len(part) for part in parts] == [0, HOP - 4, 20 * HOP, (FRAMES - 21) * HOP + 4]


def test_nothing_is_computed_twice(causal_stages: Stages) -> None:
    """Each frame is pitched, excited and decoded once, and what was decoded is forgotten."""
    pitched, decoded = [], []

    def pitch(mel: Tensor, *rest: object) -> Tensor:
        pitched.append(mel.shape[2])
        return causal_stages.pitch(mel, *rest)

    def vocode(mel: Tensor, *rest: object) -> Tensor:
        decoded.append(mel.shape[2])
        return causal_stages.vocode(mel, *rest)

    stream = CausalVocoderStream(causal_stages._replace(pitch=pitch, vocode=vocode), tiny3.VOCODER, None)
    for start in range(0, 50, 10):
        stream.push(mel(50)[:, :, start : start + 10], last=start == 40)

    assert (sum(pitched), sum(decoded)) == (50, 50)
    assert stream.mel is not None and stream.mel.shape[2] == 0


def test_a_causal_utterance_without_frames(causal_stages: Stages) -> None:
    """An utterance without a frame is silence of no length."""
    stream = CausalVocoderStream(causal_stages, tiny3.VOCODER, generator(0))

    assert len(stream.push(mel(0), True)) == 0


ARRIVALS = ((20, 45, 56), (20, 45, 56), (31, 45, 56), (20, 45, 50))  # frames of each stream after each push


@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
def test_streams_that_are_vocoded_together_are_what_each_is_alone(
    causal: bool, causal_stages: Stages
) -> None:
    """Streams of the same sizes share a call, others have their own; a call that fails may be made again."""
    stages = causal_stages if causal else stages_of(BUILTIN)
    calls: list[int] = []

    def vocode(mel: Tensor, *rest: Any) -> Tensor:
        calls.append(len(mel))
        samples = stages.vocode(mel, *rest)
        if len(calls) == 2:
            raise ZeroDivisionError("a broken stage")
        return samples

    def streams() -> list[VocoderStream]:
        made = range(len(ARRIVALS))
        if causal:
            return [CausalVocoderStream(stages, tiny3.VOCODER, generator(number)) for number in made]
        return [OverlappingVocoderStream(stages, BUILTIN, generator(number)) for number in made]

    found = pushed_together(vocode, streams())
    for number, stream in enumerate(streams()):
        alone = pushed(stream, ARRIVALS[number][-1], list(ARRIVALS[number][:-1]))
        torch.testing.assert_close(torch.cat(found[number]), torch.cat(alone), atol=TOLERANCE, rtol=0)
    assert max(calls) >= 2 and min(calls) == 1


def pushed_together(vocode: Vocode, streams: list[VocoderStream]) -> list[list[Tensor]]:
    """Samples of each push of each stream, the vocoder called for all of them at once."""
    found: list[list[Tensor]] = [[] for _ in streams]
    for push in range(len(ARRIVALS[0])):
        waiting: dict[int, tuple[Pushing, VocodeCall]] = {}
        for number, stream in enumerate(streams):
            start, end = (0, *ARRIVALS[number])[push : push + 2]
            pushing = stream.pushing(mel(end)[:, :, start:], last=push == len(ARRIVALS[0]) - 1)
            try:
                waiting[number] = (pushing, next(pushing))
            except StopIteration as done:
                found[number].append(done.value)
        calls = [call for _, call in waiting.values()]
        try:
            samples = vocode_together(vocode, calls)
        except ZeroDivisionError:
            samples = vocode_together(vocode, calls)
        for (number, (pushing, _)), own in zip(waiting.items(), samples, strict=True):
            with pytest.raises(StopIteration) as ended:
                pushing.send(own)
            found[number].append(ended.value.value)
    return found
