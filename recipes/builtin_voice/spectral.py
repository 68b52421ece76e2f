"""Spectral distances between two sounds, and a small critic of spectrograms."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.mel import mel_filterbank
from cosyrt.units import MelSpec

RESOLUTIONS = ((2048, 480), (1024, 240), (512, 120), (128, 32))  # transform size, hop
CRITIC_RESOLUTIONS = ((1024, 240), (512, 120), (256, 60))
MEL_RESOLUTIONS = (
    MelSpec(),
    MelSpec(n_fft=720, win=720, hop=240, n_mels=40),
    MelSpec(n_fft=320, win=320, hop=80, n_mels=20),
)
FLOOR = 1e-5
QUIET = 1e-4  # of magnitude, for each root of the transform size


@lru_cache
def hann(size: int, device: torch.device) -> Tensor:  # [size]
    """A cached window."""
    return torch.hann_window(size, device=device)


def magnitude(
    samples: Tensor,  # [B, N]
    size: int,
    hop: int,
) -> Tensor:  # [B, size / 2 + 1, frames]
    """|STFT|, always in float32, with a floor that keeps its gradient finite."""
    with torch.autocast(samples.device.type, enabled=False):
        z = torch.stft(samples.float(), size, hop, window=hann(size, samples.device), return_complex=True)
        return (z.real.square() + z.imag.square() + 1e-9).sqrt()


def log_magnitude(spectrum: Tensor, size: int) -> Tensor:
    """Logarithm above a level some 75 dB below full scale.

    Beneath it lie rounding noise and the empty band that 16 kHz teachers leave: nothing worth learning.
    """
    return (spectrum + QUIET * size**0.5).log()


def stft_distance(made: Tensor, true: Tensor) -> Tensor:  # [B, N], [B, N] -> []
    """Spectral convergence plus log magnitude L1, the mean of four resolutions (Parallel WaveGAN, 2019)."""
    total = torch.zeros((), device=made.device)
    for size, hop in RESOLUTIONS:
        ours, theirs = magnitude(made, size, hop), magnitude(true, size, hop)
        total = total + (ours - theirs).norm() / theirs.norm().clamp(min=FLOOR)
        total = total + (log_magnitude(ours, size) - log_magnitude(theirs, size)).abs().mean()
    return total / len(RESOLUTIONS)


class LogMel(nn.Module):
    """The runtime's log-mel as a differentiable function."""

    bank: Tensor  # [mels, n_fft / 2 + 1]

    def __init__(self, spec: MelSpec = MEL_RESOLUTIONS[0]) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("bank", torch.as_tensor(mel_filterbank(self.spec)).clone(), persistent=False)

    def forward(
        self,
        samples: Tensor,  # [B, N]
    ) -> Tensor:  # [B, mels, N / hop]
        padding = (self.spec.n_fft - self.spec.hop) // 2
        with torch.autocast(samples.device.type, enabled=False):
            padded = F.pad(samples.float()[:, None], (padding, padding), mode="reflect")[:, 0]
            window = hann(self.spec.n_fft, samples.device)
            z = torch.stft(
                padded, self.spec.n_fft, self.spec.hop, window=window, center=False, return_complex=True
            )
            power = z.real.square() + z.imag.square()
            return (self.bank @ (power + 1e-9).sqrt()).clamp(min=FLOOR).log()


class MelDistance(nn.Module):
    """Log-mel L1, the mean of three resolutions (Descript's codec, arXiv:2306.06546).

    What a recogniser hears: smoother in frequency than a spectrum and finer in time than the runtime's mel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(LogMel(spec) for spec in MEL_RESOLUTIONS)

    def forward(self, made: Tensor, true: Tensor) -> Tensor:  # [B, N], [B, N] -> []
        return torch.stack([F.l1_loss(scale(made), scale(true)) for scale in self.scales]).mean()


class BandDistance(nn.Module):
    """L1 between 25 log bands of 25 ms every 10 ms, and between how these change over 40 ms.

    The features of CMU Sphinx before their cosine transform: the changes tell consonants apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bands = LogMel(MelSpec(n_fft=600, win=600, hop=240, n_mels=25, fmin=130.0, fmax=6_800.0))

    def forward(self, made: Tensor, true: Tensor) -> Tensor:  # [B, N], [B, N] -> []
        away = self.bands(made) - self.bands(true)
        return away.abs().mean() + (away[..., 4:] - away[..., :-4]).abs().mean()


class Critic(nn.Module):
    """Convolutions over log spectrograms at three resolutions (UnivNet, 2021, with few channels)."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(self._stack(channels) for _ in CRITIC_RESOLUTIONS)

    @staticmethod
    def _stack(channels: int) -> nn.ModuleList:
        def conv(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, (5, 3), (stride, 1), padding=(2, 1))

        return nn.ModuleList(
            [conv(1, channels, 2), conv(channels, channels, 2), conv(channels, 2 * channels, 2),
             conv(2 * channels, 2 * channels, 2), conv(2 * channels, 1, 1)]
        )  # fmt: skip

    def forward(
        self,
        samples: Tensor,  # [B, N]
    ) -> list[list[Tensor]]:
        """The activations of every layer of every resolution; the last of each is the verdict."""
        found = []
        for stack, (size, hop) in zip(self.stacks, CRITIC_RESOLUTIONS, strict=True):
            first, *others = stack.children()
            layers = [first(log_magnitude(magnitude(samples, size, hop), size)[:, None])]
            for conv in others:
                layers.append(conv(F.leaky_relu(layers[-1], 0.1)))
            found.append(layers)
        return found


def critic_loss(true: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Least squares: 1 for true sound, 0 for made sound."""
    pairs = zip(true, made, strict=True)
    losses = [(a[-1].float() - 1).square().mean() + b[-1].float().square().mean() for a, b in pairs]
    return torch.stack(losses).mean()


def fooling_loss(made: list[list[Tensor]]) -> Tensor:
    """Least squares towards a verdict of 1."""
    return torch.stack([(layers[-1].float() - 1).square().mean() for layers in made]).mean()


def feature_distance(true: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """L1 between activations, relative to their size in the true sound."""
    losses = [
        (b.float() - a.detach().float()).abs().mean() / a.detach().float().abs().mean().clamp(min=FLOOR)
        for one, other in zip(true, made, strict=True)
        for a, b in zip(one[:-1], other[:-1], strict=True)
    ]
    return torch.stack(losses).mean()
