"""Samples of a causal vocoder chunk by chunk against samples in one piece."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine.causal_stream import CausalAudioStream
from cosyrt.engine.stages import Networks, Stages, eager
from tests import tiny3

FRAMES, HOP = 56, 480
TOLERANCE = {"atol": 1e-6, "rtol": 0.0}  # sums in another order; samples reach 0.1 here


@pytest.fixture(scope="module")
def stages() -> Stages:
    vocoder = tiny3.vocoder()
    vocoder.f0_predictor.double()
    return eager(Networks(llm=tiny3.language_model(), flow=tiny3.flow(), vocoder=vocoder))


def mel(frames: int) -> Tensor:  # [1, 80, M]
    """Some voiced and some unvoiced frames."""
    return torch.randn(1, 80, FRAMES, generator=torch.Generator().manual_seed(3))[:, :, :frames]


def generator(seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(seed)


def whole(stages: Stages, frames: int, seed: int | None) -> Tensor:  # [N]
    """The vocoder's stages, each once over everything."""
    noise = None if seed is None else torch.rand(1, frames * HOP, 9, generator=generator(seed))
    source = stages.excite(stages.pitch(mel(frames)), noise, None)
    return stages.vocode(mel(frames), source)[0]


def in_parts(stages: Stages, frames: int, cuts: list[int], seed: int | None) -> list[Tensor]:
    """What each push gives; the last push brings the rest of the frames, maybe none."""
    stream = CausalAudioStream(stages, tiny3.VOCODER, generator(seed))
    ends = [*cuts, frames]
    return [
        stream.push(mel(frames)[:, :, start:end], last=at == len(cuts))
        for at, (start, end) in enumerate(zip([0, *cuts], ends, strict=True))
    ]


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A number of frames and places to cut them, some of them twice."""
    frames = draw(st.integers(1, FRAMES))
    return frames, sorted(draw(st.lists(st.integers(0, frames), max_size=4)))


@settings(deadline=None, max_examples=15)
@given(cutting=cuttings(), seed=st.sampled_from([None, 5]))
def test_any_cutting_gives_the_samples_of_the_whole(
    stages: Stages, cutting: tuple[int, list[int]], seed: int | None
) -> None:
    """Pushed in any parts, even empty ones, the samples are those of one piece, one for one."""
    frames, cuts = cutting
    samples = torch.cat(in_parts(stages, frames, cuts, seed))

    torch.testing.assert_close(samples, whole(stages, frames, seed), **TOLERANCE)


def test_samples_come_as_soon_as_they_are_certain(stages: Stages) -> None:
    """Four frames and four samples are waited for; upstream waits for eight frames."""
    parts = in_parts(stages, FRAMES, [4, 5, 25], None)

    assert [len(part) for part in parts] == [0, HOP - 4, 20 * HOP, (FRAMES - 21) * HOP + 4]


def test_nothing_is_computed_twice(stages: Stages) -> None:
    """Each frame is pitched, excited and decoded once, and what was decoded is forgotten."""
    pitched, decoded = [], []

    def pitch(mel: Tensor, *rest: object) -> Tensor:
        pitched.append(mel.shape[2])
        return stages.pitch(mel, *rest)

    def vocode(mel: Tensor, *rest: object) -> Tensor:
        decoded.append(mel.shape[2])
        return stages.vocode(mel, *rest)

    stream = CausalAudioStream(stages._replace(pitch=pitch, vocode=vocode), tiny3.VOCODER, None)
    for start in range(0, 50, 10):
        stream.push(mel(50)[:, :, start : start + 10], last=start == 40)

    assert (sum(pitched), sum(decoded)) == (50, 50)
    assert stream.mel is not None and stream.mel.shape[2] == 0


def test_no_frames_no_samples(stages: Stages) -> None:
    """An utterance without a frame is silence of no length."""
    stream = CausalAudioStream(stages, tiny3.VOCODER, generator(0))

    assert len(stream.push(mel(0), True)) == 0
