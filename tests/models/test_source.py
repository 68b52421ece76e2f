"""The harmonic source: upstream's phase, kept exact, and carried over a cut."""

from __future__ import annotations

from math import pi
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.models.source import (
    HarmonicSource,
    PitchPredictor,
    SampledSource,
    SourceConfig,
    SteppedSource,
    phase_after,
)
from tests.golden import weights

GOLDEN = Path(__file__).parent.parent / "golden" / "cosyvoice2-small.npz"
CONFIG = SourceConfig()
HOP = CONFIG.samples_per_frame


@pytest.fixture(scope="module")
def source() -> HarmonicSource:
    """With the weights of the golden set."""
    module = HarmonicSource(CONFIG).requires_grad_(False)
    for name, value in module.state_dict().items():
        value.copy_(weights.tensor(f"m_source.{name}", list(value.shape)))
    return module


def pitch(frames: int, seed: int = 0) -> Tensor:  # [1, M] Hz
    """Runs of voiced and unvoiced frames."""
    random = torch.Generator().manual_seed(seed)
    voiced = 80 + 300 * torch.rand(1, frames, generator=random)
    return voiced * (torch.arange(frames) % 7 > 1)


def upstreams(source: HarmonicSource, pitch: Tensor) -> Tensor:  # [B, M] → [B, 1, N]
    """SineGen2 as upstream computes it, all in float32 (reference: hifigan/generator.py).

    The pitch is repeated to the sample rate, turned into cycles a sample modulo one, interpolated down to one
    value a frame, summed, scaled to the hop and interpolated up again.
    """
    at_samples = pitch.repeat_interleave(HOP, dim=1)[..., None] * torch.arange(1, CONFIG.harmonics + 1)
    cycles = (at_samples / CONFIG.sample_hz) % 1
    cycles = F.interpolate(cycles.mT, scale_factor=1 / HOP, mode="linear").mT
    phase = torch.cumsum(cycles, dim=1) * 2 * pi
    phase = F.interpolate(phase.mT * HOP, scale_factor=HOP, mode="linear").mT
    voiced = (pitch > CONFIG.voiced_threshold_hz).float().repeat_interleave(HOP, dim=1)[..., None]
    out: Tensor = source.l_linear(phase.sin() * CONFIG.sine_level * voiced).tanh()
    return out.mT


def test_the_difference_to_upstream_is_its_float32(source: HarmonicSource) -> None:
    """Upstream's way in float32 is the golden source to 1e-5; ours, which loses nothing, is within 2e-3."""
    with np.load(GOLDEN) as arrays:
        f0, golden = torch.from_numpy(arrays["hift_f0"]), torch.from_numpy(arrays["hift_source"])
    scale = golden.abs().max()

    assert (upstreams(source, f0.view(1, -1)) - golden).abs().max() <= 1e-5 * scale
    assert (source(f0.view(1, -1)) - golden).abs().max() <= 2e-3 * scale


def test_ours_is_upstreams_without_rounding(source: HarmonicSource) -> None:
    """In float64 upstream's way gives our numbers, over unvoiced frames too, and after half a minute."""
    long = pitch(1_500)
    exact = source.double()
    twin = upstreams(exact, long.double())
    source.float()

    assert (source(long) - twin).abs().max() <= 1e-5
    assert (upstreams(source, long) - twin).abs().max() > 1e-3


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.data())
def test_the_phase_runs_on_across_a_cut(source: HarmonicSource, frames: int, data: st.DataObject) -> None:
    """With the phase handed over at a cut, the source is that of one go.

    The last half frame before the cut is drawn with one frame more, towards whose phase it runs.
    """
    cut = data.draw(st.integers(1, frames))
    whole, f0 = source(pitch(frames)), pitch(frames)
    left = source(f0[:, : cut + 1])[:, :, : cut * HOP]
    phase = phase_after(CONFIG, f0[:, :cut], None)
    right = source(f0[:, cut:], None, phase) if cut < frames else whole[:, :, :0]

    torch.testing.assert_close(torch.cat([left, right], dim=2), whole, atol=1e-5, rtol=0)


def test_phases_add_up() -> None:
    """The phase after two runs of frames is that after both, modulo a cycle."""
    f0 = pitch(50)
    halves = phase_after(CONFIG, f0[:, 20:], phase_after(CONFIG, f0[:, :20], None)).cycles
    once = phase_after(CONFIG, f0, None).cycles
    turn = (halves - once).abs()

    assert torch.minimum(turn, 1 - turn).max() < 1e-9


def test_a_steady_pitch_is_a_sine(source: HarmonicSource) -> None:
    """100 Hz through a mixer that takes the fundamental alone: 100 Hz, at the level of the sines."""
    only = HarmonicSource(CONFIG).requires_grad_(False)
    only.l_linear.weight.copy_(torch.eye(9)[:1])
    only.l_linear.bias.zero_()
    samples = only(torch.full((1, 50), 100.0))[0, 0, HOP:-HOP]
    spectrum = torch.fft.rfft(samples * torch.hann_window(len(samples))).abs()

    assert int(spectrum.argmax()) * CONFIG.sample_hz / len(samples) == pytest.approx(100, abs=1)
    assert float(samples.abs().max()) == pytest.approx(np.tanh(0.1), abs=1e-3)


def test_noise_is_louder_where_unvoiced(source: HarmonicSource) -> None:
    """Noise of 0.003 where there is a pitch, of a third of the sines' level where there is none."""
    mixed = HarmonicSource(CONFIG).requires_grad_(False)
    mixed.l_linear.weight.copy_(torch.eye(9)[:1])
    mixed.l_linear.bias.zero_()
    noise = torch.randn(1, 20 * HOP, 9, generator=torch.Generator().manual_seed(0))
    f0 = torch.cat([torch.full((1, 10), 200.0), torch.zeros(1, 10)], dim=1)
    heard = torch.atanh(mixed(f0, noise) - 0.0)[0, 0] - torch.atanh(mixed(f0))[0, 0]

    assert float(heard[: 10 * HOP].std()) == pytest.approx(0.003, rel=0.05)
    assert float(heard[10 * HOP :].std()) == pytest.approx(0.1 / 3, rel=0.05)


def test_harmonics_are_mixed_as_if_each_had_its_level(source: HarmonicSource) -> None:
    """Mixing them before they are scaled differs from scaling each by rounding alone: 1e-6."""
    f0, c = pitch(30), CONFIG
    noise = torch.randn(1, 30 * HOP, c.harmonics, generator=torch.Generator().manual_seed(0))
    voiced = (f0 > c.voiced_threshold_hz).float().repeat_interleave(HOP, dim=1)[..., None]
    sines = source.angles(f0, None).sin() * c.sine_level * voiced
    level = voiced * c.voiced_noise_level + (1 - voiced) * c.sine_level / 3
    slow = source.l_linear(sines + noise * level).tanh().mT

    torch.testing.assert_close(source(f0, noise), slow, atol=1e-6, rtol=0)


def test_pitch_is_never_negative() -> None:
    """One number a frame, of no sign."""
    torch.manual_seed(0)
    predictor = PitchPredictor(80, 8).requires_grad_(False)
    f0 = predictor(torch.randn(2, 80, 30))

    assert f0.shape == (2, 30)
    assert f0.min() >= 0
    assert f0.max() > 0


def test_the_phase_of_cosyvoice_3_stands_still_in_a_frame() -> None:
    """As upstream's causal SineGen2, in float64: the phase of a frame is repeated; it goes on after cuts."""
    stepped, f0 = SteppedSource(CONFIG), pitch(20)
    at_samples = f0.double().repeat_interleave(HOP, dim=1)[..., None] * torch.arange(1, CONFIG.harmonics + 1)
    cycles = F.interpolate(((at_samples / CONFIG.sample_hz) % 1).mT, scale_factor=1 / HOP, mode="linear")
    phase = F.interpolate(torch.cumsum(cycles, dim=2) * HOP, scale_factor=HOP, mode="nearest").mT
    cut = stepped.angles(f0[:, 8:], phase_after(CONFIG, f0[:, :8], None))

    angles = stepped.angles(f0, None)
    torch.testing.assert_close(angles.sin(), (2 * pi * phase).sin().float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(cut.sin(), angles[:, 8 * HOP :].sin(), atol=1e-5, rtol=0)


def test_the_sampled_phase_turns_at_every_sample() -> None:
    """CosyVoice 1: the pitch stands within a frame and is summed sample by sample, from the first on."""
    config = SourceConfig(sample_hz=22_050, samples_per_frame=256)
    source, f0 = SampledSource(config).double(), pitch(40)
    turns = torch.cumsum(f0.double().repeat_interleave(256, dim=1) / 22_050, dim=1)[..., None]
    angles = source.angles(f0, None) - 2 * pi * turns * torch.arange(1, 10)
    off = torch.remainder(angles / (2 * pi) + 0.5, 1) - 0.5

    assert off.abs().max() <= 1e-5


@pytest.mark.parametrize("cut", [1, 13, 39])
def test_the_sampled_phase_goes_on(cut: int) -> None:
    """Two windows with the phase handed over are one window."""
    config = SourceConfig(sample_hz=22_050, samples_per_frame=256)
    source, f0 = SampledSource(config).requires_grad_(False), pitch(40)
    after = phase_after(config, f0[:, :cut], None)
    parts = [source(f0[:, :cut]), source(f0[:, cut:], None, after)]

    assert (torch.cat(parts, dim=2) - source(f0)).abs().max() <= 1e-5
