"""mel → pitch → harmonic source: what the vocoder filters into speech.

Shapes: B batch · M mel frames · N samples = M · samples per frame · H harmonics, the fundamental first.
Source: the neural source-filter model (Wang et al., 2019) as used by HiFTNet (arXiv:2309.09493) and
upstream's `hifigan/generator.py` (SineGen, SineGen2) and `hifigan/f0_predictor.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.layers import CausalConv, with_lookahead
from cosyrt.models.stream_cache import StreamCache

PITCH_LOOKAHEAD_FRAMES = 3  # of the causal predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Settings of the excitation: how many harmonics, how loud, how noisy."""

    sample_hz: int = 24_000
    samples_per_frame: int = 480
    harmonics: int = 9
    sine_level: float = 0.1
    voiced_noise_level: float = 0.003
    voiced_threshold_hz: float = 10.0


class PitchPredictor(nn.Module):
    """Five convolutions over the mel, then one number a frame."""

    def __init__(self, mel_bins: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(5):
            layers += [nn.Conv1d(channels if i else mel_bins, channels, 3, padding=1), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1)

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
    ) -> Tensor:  # [B, M] pitch in Hz, near zero where unvoiced
        hidden: Tensor = self.condnet(mel)
        pitch: Tensor = self.classifier(hidden.transpose(1, 2))
        return pitch.squeeze(-1).abs()


class CausalPitchPredictor(nn.Module):
    """Pitch predictor of CosyVoice 3: the first convolution looks ahead, the others are causal.

    It runs in the precision of its weights, which should be float64: the source adds up what it gives, and so
    its errors.
    """

    def __init__(self, mel_bins: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(mel_bins, channels, PITCH_LOOKAHEAD_FRAMES + 1), nn.ELU()]
        for _ in range(4):
            layers += [CausalConv(channels, channels, 3), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1)

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
        lookahead: Tensor | None = None,  # [B, 80, lookahead] frames that follow; None: nothing follows
        cache: StreamCache | None = None,  # of the frames before these
    ) -> Tensor:  # [B, M] pitch in Hz, near zero where unvoiced
        x = with_lookahead(mel, lookahead, PITCH_LOOKAHEAD_FRAMES).to(self.classifier.weight.dtype)
        for layer in self.condnet:
            x = layer(x, cache) if isinstance(layer, CausalConv) else layer(x)
        pitch: Tensor = self.classifier(x.transpose(1, 2))
        return pitch.squeeze(-1).abs().float()


class Phase(NamedTuple):
    """Phase of the harmonics, so that a window can continue where the last one stopped."""

    # [B, H] float64, in cycles, modulo 1: phase in the middle of the frame before, in CosyVoice 1 at its end
    cycles: Tensor


class HarmonicSource(nn.Module):
    """Sines at the multiples of the pitch plus noise, mixed to one excitation signal."""

    def __init__(self, config: SourceConfig) -> None:
        super().__init__()
        self.config = config
        self.l_linear = nn.Linear(config.harmonics, 1)

    def forward(
        self,
        pitch: Tensor,  # [B, M] Hz
        noise: Tensor | None = None,  # [B, N, H] standard normal; None: silent, as in tests against upstream
        before: Phase | None = None,
    ) -> Tensor:  # [B, 1, N]
        """The excitation of these frames; `before` continues the phase of the frames to their left."""
        c, mix = self.config, self.l_linear
        # How loud sines and noise are is one number for all harmonics: these are mixed first, so that little
        # has to be computed at the size of all of them.
        mixed = F.linear(torch.sin(self.angles(pitch, before)), mix.weight)  # [B, N, 1]
        voiced = (pitch > c.voiced_threshold_hz).to(mixed.dtype)
        voiced = voiced.repeat_interleave(c.samples_per_frame, dim=1).unsqueeze(-1)  # [B, N, 1]
        mixed = mixed * (c.sine_level * voiced)
        if noise is not None:
            level = voiced * c.voiced_noise_level + (1 - voiced) * (c.sine_level / 3)
            mixed = mixed + F.linear(noise, mix.weight) * level
        excitation: Tensor = torch.tanh(mixed + mix.bias)
        return excitation.transpose(1, 2)

    def angles(
        self,
        pitch: Tensor,  # [B, M] Hz
        before: Phase | None,
    ) -> Tensor:  # [B, N, H] radians
        """Phase of every harmonic at every sample.

        Upstream knows the phase in the middle of each frame and draws straight lines between; so do we, but
        the sum runs in float64 and modulo one cycle, so that a long utterance loses no precision.
        """
        c = self.config
        advance = advance_of(c, pitch)  # [B, M, H] cycles from the middle of the frame before to this one's
        if before is None:
            middle = torch.cumsum(advance, dim=1)
            # The phase stands still up to the middle of the first frame.
            advance = torch.cat([torch.zeros_like(advance[:, :1]), advance[:, 1:]], dim=1)
        else:
            middle = torch.cumsum(advance, dim=1) + before.cycles[:, None]
        coming = torch.cat([advance[:, 1:], torch.zeros_like(advance[:, :1])], dim=1)  # flat after the last
        half = c.samples_per_frame // 2
        step = torch.arange(c.samples_per_frame, device=pitch.device, dtype=torch.float32)
        past = (step[:half] + 0.5) / c.samples_per_frame - 0.5  # left of the middle, in frames
        ahead = (step[half:] + 0.5) / c.samples_per_frame - 0.5
        wrapped = torch.remainder(middle, 1.0).float().unsqueeze(2)  # [B, M, 1, H]
        left = torch.addcmul(wrapped, past[:, None], advance.float().unsqueeze(2))
        right = torch.addcmul(wrapped, ahead[:, None], coming.float().unsqueeze(2))
        return (2 * torch.pi) * torch.cat([left, right], dim=2).flatten(1, 2)


class SampledSource(HarmonicSource):
    """The source of CosyVoice 1: the pitch stands still within a frame, the phase turns at every sample."""

    def angles(
        self,
        pitch: Tensor,  # [B, M] Hz
        before: Phase | None,
    ) -> Tensor:  # [B, N, H] radians
        """Phase of every harmonic at every sample; `before` is that of the sample to the left."""
        advance = advance_of(self.config, pitch)  # [B, M, H] cycles
        start = torch.cumsum(advance, dim=1) - advance
        if before is not None:
            start = start + before.cycles[:, None]
        hop = self.config.samples_per_frame
        share = torch.arange(1, hop + 1, device=pitch.device, dtype=torch.float32) / hop
        wrapped = torch.remainder(start, 1.0).float().unsqueeze(2)  # [B, M, 1, H]
        return (2 * torch.pi) * (wrapped + share[:, None] * advance.float().unsqueeze(2)).flatten(1, 2)


class SteppedSource(HarmonicSource):
    """The source of CosyVoice 3: the phase stands still within a frame, so that no frame needs the next."""

    def angles(
        self,
        pitch: Tensor,  # [B, M] Hz
        before: Phase | None,
    ) -> Tensor:  # [B, N, H] radians
        """Phase of every harmonic at every sample: that of the middle of its frame."""
        middle = torch.cumsum(advance_of(self.config, pitch), dim=1)
        if before is not None:
            middle = middle + before.cycles[:, None]
        steps = torch.remainder(middle, 1.0).float() * (2 * torch.pi)
        return steps.repeat_interleave(self.config.samples_per_frame, dim=1)


def advance_of(
    config: SourceConfig,
    pitch: Tensor,  # [B, M] Hz
) -> Tensor:  # [B, M, H] float64 cycles in one frame
    """How far each harmonic turns in one frame; whole turns within a sample are dropped, as upstream does."""
    multiples = torch.arange(1, config.harmonics + 1, device=pitch.device, dtype=torch.float64)
    return torch.remainder(pitch[..., None] * multiples / config.sample_hz, 1.0) * config.samples_per_frame


def phase_after(
    config: SourceConfig,
    pitch: Tensor,  # [B, M] Hz
    before: Phase | None,
) -> Phase:
    """Phase that the window right after these frames begins with."""
    total = advance_of(config, pitch).sum(dim=1)
    return Phase(torch.remainder(total if before is None else total + before.cycles, 1.0))
