"""A source in step with a recording."""

from __future__ import annotations

import torch

from cosyrt.models.source import HarmonicSource, Phase, SourceConfig
from recipes.builtin_voice.in_step import InStepSource

CONFIG = SourceConfig(harmonics=5)
PITCH = torch.tensor([[100.0, 110.0, 125.0, 0.0, 0.0, 90.0, 95.0, 95.0]])


def turns(angles: torch.Tensor) -> torch.Tensor:
    """Cycles, modulo one and around zero."""
    cycles = angles / (2 * torch.pi)
    return cycles - cycles.round()


def test_the_phase_of_the_runtime_is_one_that_a_recording_may_have() -> None:
    """With the phase that the runtime adds up, every sample after the first frame is the runtime's."""
    cycles = torch.cumsum(PITCH.double() * 480 / 24_000, dim=1)
    ours = InStepSource(CONFIG).angles(PITCH, Phase(cycles))
    theirs = HarmonicSource(CONFIG).angles(PITCH, None)
    assert turns(ours - theirs)[:, 240:].abs().max() < 1e-4


def test_the_middle_of_a_frame_has_the_phase_that_was_given() -> None:
    """Whatever it is, and each harmonic its multiple."""
    cycles = torch.rand(1, 8, generator=torch.manual_seed(0))
    angles = InStepSource(CONFIG).angles(PITCH, Phase(cycles)).view(1, 8, 480, 5)
    middle = angles[:, :, 239:241].mean(dim=2)
    expected = 2 * torch.pi * cycles[..., None] * torch.arange(1, 6)
    voiced = PITCH[0] > 0
    assert turns(middle - expected)[:, voiced].abs().max() < 0.05


def test_between_two_frames_the_voice_turns_as_often_as_its_pitch_says() -> None:
    """The given phases only decide the fraction of a turn."""
    cycles = torch.tensor([[0.1, 0.15, 0.55, 0.0, 0.0, 0.3, 0.2, 0.9]])
    advance = InStepSource(CONFIG)._advance(PITCH, cycles.double())
    both = [1, 2, 6, 7]
    expected = PITCH[0, both] * 480 / 24_000
    assert (advance[0, both] - expected).abs().max() <= 0.5
    fraction = torch.remainder(advance[0, both] - (cycles[0, both] - cycles[0, [0, 1, 5, 6]]), 1.0)
    assert torch.minimum(fraction, 1 - fraction).max() < 1e-6


def test_the_excitation_is_that_of_the_runtime() -> None:
    """Mixed sample by sample, without noise; with it, as loud."""
    ours, theirs = InStepSource(CONFIG), HarmonicSource(CONFIG)
    theirs.load_state_dict(ours.state_dict())
    cycles = torch.cumsum(PITCH.double() * 480 / 24_000, dim=1)
    silent = ours(PITCH, None, Phase(cycles)) - theirs(PITCH)
    assert silent[..., 240:].abs().max() < 1e-5
    random = torch.manual_seed(0)
    hoarse = ours(PITCH, torch.randn(1, 3_840, 1, generator=random), Phase(cycles))[..., 1500:2300]
    other = theirs(PITCH, torch.randn(1, 3_840, 5, generator=random))[..., 1500:2300]  # unvoiced
    assert 0.85 < float((hoarse.std() / other.std()).detach()) < 1.15
