"""The causal vocoder: nothing later is heard, and parts are the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.models.causal_vocoder import CausalVocoder, Down
from cosyrt.models.stream_cache import StreamCache
from tests import tiny3

HOP, LOOKAHEAD = 480, 4
FRAMES = 40
HELD = 4  # samples that the next frame still adds to
TOLERANCE = {"atol": 1e-6, "rtol": 0.0}  # sums in another order; samples reach 0.1 here


@pytest.fixture(scope="module")
def vocoder() -> CausalVocoder:
    return tiny3.vocoder()


def inputs(frames: int = FRAMES) -> tuple[Tensor, Tensor]:  # mel [1, 80, M], excitation [1, 1, N]
    random = torch.Generator().manual_seed(1)
    mel = torch.randn(1, 80, FRAMES, generator=random)
    source = 0.1 * torch.randn(1, 1, FRAMES * HOP, generator=random)
    return mel[:, :, :frames], source[:, :, : frames * HOP]


def in_parts(vocoder: CausalVocoder, mel: Tensor, source: Tensor, ends: list[int]) -> list[Tensor]:
    """One call a part, each given what follows as far as it looks; the last is given nothing."""
    cache, parts = StreamCache(), []
    for start, end in zip([0, *ends], [*ends, mel.shape[2]], strict=True):
        last = end == mel.shape[2]
        ahead = None if last else mel[:, :, end : end + LOOKAHEAD]
        around = source[:, :, start * HOP : (end + (not last)) * HOP]
        parts.append(vocoder.decode(mel[:, :, start:end], around, ahead, cache.begin()))
    return parts


@settings(deadline=None, max_examples=10)
@given(cuts=st.sets(st.integers(1, FRAMES - LOOKAHEAD), max_size=4))
def test_parts_are_the_whole(vocoder: CausalVocoder, cuts: set[int]) -> None:
    """However it is cut, sample for sample; all but four samples of a part are given at once."""
    mel, source = inputs()
    parts = in_parts(vocoder, mel, source, sorted(cuts))

    ends = torch.tensor([part.shape[1] for part in parts]).cumsum(0).tolist()
    assert ends == [*(cut * HOP - HELD for cut in sorted(cuts)), FRAMES * HOP]
    torch.testing.assert_close(torch.cat(parts, dim=1), vocoder.decode(mel, source), **TOLERANCE)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_short_mel(vocoder: CausalVocoder, frames: int) -> None:
    """One frame is enough: each gives 480 samples."""
    assert vocoder(inputs(frames)[0]).shape == (1, frames * HOP)


def test_nothing_later_is_heard(vocoder: CausalVocoder) -> None:
    """A change of a mel frame is heard from four frames before it, one of the source 80 samples before."""
    mel, source = inputs()
    plain = vocoder.decode(mel, source)
    other_mel, other_source = mel.clone(), source.clone()
    other_mel[:, :, 20] *= -1
    other_source[:, :, 20 * HOP] += 1
    first = [
        int((vocoder.decode(*changed) - plain).abs()[0].gt(1e-7).nonzero()[0])
        for changed in ((other_mel, source), (mel, other_source))
    ]

    assert 16 * HOP - 16 <= first[0] <= 16 * HOP + 16
    # The first stage hears a stride of the transform's frames ahead.
    assert 20 * HOP - 80 <= first[1] <= 20 * HOP


def test_the_pitch_in_parts_is_the_pitch(vocoder: CausalVocoder) -> None:
    """Three frames of look-ahead and a cache: the float32 numbers of one pass, as it runs in float64."""
    precise = tiny3.vocoder()
    precise.f0_predictor.double()
    mel, cache = inputs()[0], StreamCache()
    parts = [
        precise.f0(mel[:, :, start:end], None if end == FRAMES else mel[:, :, end:], cache.begin())
        for start, end in ((0, 1), (1, 12), (12, 37), (37, FRAMES))
    ]

    pitch = precise.f0(mel)
    assert torch.equal(torch.cat(parts, dim=1), pitch)
    assert pitch.dtype == torch.float32
    torch.testing.assert_close(vocoder.f0(mel), pitch, atol=1e-3, rtol=0)


@pytest.mark.parametrize("factor", [1, 3, 15])
def test_a_strided_convolution_goes_on(factor: int) -> None:
    """The frame that a transform has more at its start is at position 0; then a position every stride."""
    torch.manual_seed(0)
    down = Down(4, 2, factor)
    x = torch.randn(1, 4, 60 * factor + 1)
    cache, cut = StreamCache(), 20 * factor + 1
    parts = [down(x[:, :, :cut], cache.begin()), down(x[:, :, cut:], cache.begin())]

    whole = down(x)
    assert whole.shape[2] == (60 if factor > 1 else 61)
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)


def test_a_batch_is_each_alone(vocoder: CausalVocoder) -> None:
    """Two sequences at once are what each is by itself."""
    mel = torch.randn(2, 80, 7, generator=torch.Generator().manual_seed(2))

    torch.testing.assert_close(vocoder(mel)[1:], vocoder(mel[1:]), **TOLERANCE)


def test_other_transforms_stream_too() -> None:
    """The arithmetic of the overlaps holds for a transform of 64 with a hop of 16 and other factors."""
    config = replace(
        tiny3.VOCODER,
        upsample_rates=(5, 3, 2),
        upsample_kernels=(11, 7, 4),
        transform_size=64,
        transform_hop=16,
    )
    vocoder = tiny3.vocoder(config)
    mel, source = inputs(20)
    parts = in_parts(vocoder, mel, source, [3, 9])

    assert [part.shape[1] for part in parts] == [3 * HOP - 16, 6 * HOP, 11 * HOP + 16]
    torch.testing.assert_close(torch.cat(parts, dim=1), vocoder.decode(mel, source), **TOLERANCE)
