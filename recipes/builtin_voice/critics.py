"""Critics that tell made sound from true sound: of the wave, folded by periods, and of spectrograms.

Source: HiFi-GAN (arXiv:2010.05646) and UnivNet (arXiv:2106.07889), with fewer channels. The activations
of every layer are kept: the vocoder learns from them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from recipes.builtin_voice.spectral import FLOOR, log_magnitude, magnitude

PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = ((1024, 240), (512, 120), (240, 60))  # transform size, hop
PERIOD_CHANNELS = (16, 64, 128, 256, 256)
SPECTRAL_CHANNELS = 32
SPECTRAL_STRIDES = (4, 2, 2, 2)  # in frequency
PERIODS_AT_ONCE, RESOLUTIONS_AT_ONCE = 2, 1  # judge a step; all of them would take most of its time
SLOPE = 0.1

Layers = list[Tensor]  # of one critic; the last is the verdict


class PeriodCritic(nn.Module):
    """Convolutions along every `period`-th sample: a row of such samples is a signal of its own."""

    def __init__(self, period: int, channels: tuple[int, ...] = PERIOD_CHANNELS) -> None:
        super().__init__()
        self.period = period
        strides = [3] * (len(channels) - 1) + [1]
        steps = zip((1, *channels[:-1]), channels, strides, strict=True)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv1d(narrow, wide, 5, stride, 2)) for narrow, wide, stride in steps
        )
        self.verdict = weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(
        self,
        samples: Tensor,  # [B, N]
    ) -> Layers:
        padded = F.pad(samples[:, None], (0, -samples.shape[1] % self.period), mode="reflect")
        rows = padded.view(len(samples), -1, self.period).transpose(1, 2)  # [B, period, N / period]
        return judged(rows.flatten(0, 1)[:, None], self.convs, self.verdict)


class SpectralCritic(nn.Module):
    """Convolutions over a log spectrogram, coarser in frequency from layer to layer."""

    def __init__(self, size: int, hop: int, channels: int = SPECTRAL_CHANNELS) -> None:
        super().__init__()
        self.size, self.hop = size, hop
        widths = (1, channels, channels, 2 * channels, 2 * channels)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, outputs, (7, 3), (stride, 1), (3, 1)))
            for (inputs, outputs), stride in zip(pairwise(widths), SPECTRAL_STRIDES, strict=True)
        )
        self.verdict = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(
        self,
        samples: Tensor,  # [B, N]
    ) -> Layers:
        spectrum = log_magnitude(magnitude(samples, self.size, self.hop), self.size)
        return judged(spectrum[:, None], self.convs, self.verdict)


class Critics(nn.Module):
    """Critics of all periods and all resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.periods = nn.ModuleList(map(PeriodCritic, PERIODS))
        self.spectra = nn.ModuleList(SpectralCritic(size, hop) for size, hop in RESOLUTIONS)

    def forward(
        self,
        samples: Tensor,  # [B, N]
        panel: Sequence[int] | None = None,  # None: all of them
    ) -> list[Layers]:
        """Judge the sound with the critics of the panel, by their numbers."""
        critics = [*self.periods, *self.spectra]
        return [cast(Layers, critics[number](samples)) for number in panel or range(len(critics))]


def drawn_panel(random: np.random.Generator) -> list[int]:
    """Draw the critics of one step: some of each kind."""
    periods = random.choice(len(PERIODS), PERIODS_AT_ONCE, replace=False)
    resolutions = random.choice(len(RESOLUTIONS), RESOLUTIONS_AT_ONCE, replace=False)
    return [*periods.tolist(), *(len(PERIODS) + resolutions).tolist()]


def judged(x: Tensor, convs: nn.ModuleList, verdict: nn.Module) -> Layers:
    """Run the layers and keep the activations of each, the verdict last."""
    layers = []
    for conv in convs:
        x = F.leaky_relu(conv(x), SLOPE)
        layers.append(x)
    return [*layers, verdict(x)]


def critic_loss(true: list[Layers], made: list[Layers]) -> Tensor:
    """Least squares: 1 for true sound, 0 for made sound; the sum over the critics."""
    pairs = zip(true, made, strict=True)
    losses = [(a[-1].float() - 1).square().mean() + b[-1].float().square().mean() for a, b in pairs]
    return torch.stack(losses).sum()


def fooling_loss(made: list[Layers]) -> Tensor:
    """Least squares towards a verdict of 1; the sum over the critics."""
    return torch.stack([(layers[-1].float() - 1).square().mean() for layers in made]).sum()


def feature_distance(true: list[Layers], made: list[Layers]) -> Tensor:
    """L1 between activations, relative to their size in the true sound; the sum over layers and critics."""
    losses = [
        (b.float() - a.detach().float()).abs().mean() / a.detach().float().abs().mean().clamp(min=FLOOR)
        for one, other in zip(true, made, strict=True)
        for a, b in zip(one[:-1], other[:-1], strict=True)
    ]
    return torch.stack(losses).sum()
