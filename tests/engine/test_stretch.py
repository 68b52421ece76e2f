"""Speaking faster or slower."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine.stretch import Stretch

SPEEDS = st.floats(0.25, 4.0)
MEL = torch.randn(1, 3, 90, generator=torch.Generator().manual_seed(0))


def whole(mel: Tensor, speed: float) -> Tensor:
    return Stretch(speed).push(mel, last=True)


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A number of frames and places to cut them, some of them twice."""
    frames = draw(st.integers(0, MEL.shape[2]))
    return frames, sorted(draw(st.lists(st.integers(0, frames), max_size=8)))


@settings(deadline=None, max_examples=60)
@given(SPEEDS, cuttings())
def test_any_cutting_gives_the_same_frames(speed: float, cutting: tuple[int, list[int]]) -> None:
    """Frames pushed in parts of any size, empty ones too, come out as from one push."""
    frames, cuts = cutting
    stretch = Stretch(speed)
    parts = [
        stretch.push(MEL[:, :, start:end], last=end == frames and at == len(cuts))
        for at, (start, end) in enumerate(zip([0, *cuts], [*cuts, frames], strict=True))
    ]

    torch.testing.assert_close(torch.cat(parts, dim=2), whole(MEL[:, :, :frames], speed), atol=1e-6, rtol=0)


@settings(deadline=None, max_examples=40)
@given(SPEEDS, st.integers(0, 90))
def test_the_length_is_the_mel_over_the_speed(speed: float, frames: int) -> None:
    """M frames become M / speed frames, rounded down as upstream does."""
    assert whole(MEL[:, :, :frames], speed).shape == (1, 3, int(frames / speed))


def test_speed_1_changes_nothing() -> None:
    """At speed 1 every push gives back just what it was given."""
    stretch = Stretch(1.0)

    assert torch.equal(stretch.push(MEL[:, :, :7], last=False), MEL[:, :, :7])
    assert torch.equal(stretch.push(MEL[:, :, 7:], last=True), MEL[:, :, 7:])


@pytest.mark.parametrize("speed", [0.5, 0.75, 0.9, 1.25, 1.5, 2.0])
def test_against_torchs_interpolation(speed: float) -> None:
    """Where M / speed is whole, torch's interpolation (which upstream uses) means the same straight lines."""
    twin = F.interpolate(MEL, size=int(MEL.shape[2] / speed), mode="linear")

    torch.testing.assert_close(whole(MEL, speed), twin, atol=1e-4, rtol=0)  # torch's places are in float32


@settings(deadline=None, max_examples=40)
@given(SPEEDS, st.integers(2, 60))
def test_a_straight_line_stays_straight(speed: float, frames: int) -> None:
    """A mel that rises evenly rises `speed` times as fast, apart from its ends, which are held."""
    line = torch.arange(frames, dtype=torch.float32).expand(1, 3, -1)
    at = (torch.arange(int(frames / speed)) + 0.5) * speed - 0.5

    torch.testing.assert_close(whole(line, speed)[0, 0], at.clamp(0, frames - 1), atol=1e-4, rtol=0)


def test_what_is_certain_comes_early() -> None:
    """A frame waits for no more than the neighbours that it is made of."""
    stretch = Stretch(1.25)

    assert stretch.push(MEL[:, :, :50], last=False).shape[2] >= 50 / 1.25 - 2
    assert stretch.kept is not None
    assert stretch.kept.shape[2] <= 5
