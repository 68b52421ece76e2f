"""Spectral distances between two sounds."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.mel import mel_filterbank
from cosyrt.units import MelSpec

RESOLUTIONS = ((2048, 480), (1024, 240), (512, 120), (128, 32))  # transform size, hop
MEL_RESOLUTIONS = (
    MelSpec(),
    MelSpec(n_fft=720, win=720, hop=240, n_mels=40),
    MelSpec(n_fft=320, win=320, hop=80, n_mels=20),
)
WAVE_RESOLUTIONS = ((1024, 240), (512, 120))
WAVE_HZ = 4_500  # above it the phase of a voice is not to be foreseen
COMPRESSION, SOFT = 0.3, 1e-2  # power that levels loud and quiet; what keeps its gradient finite
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


def wave_distance(
    made: Tensor,  # [B, N]
    true: Tensor,  # [B, N]
    pitch: Tensor,  # [B, M] Hz; 0 = unvoiced, where phase is chance and does not count
) -> Tensor:  # []
    """How far the compressed complex spectra are apart where there is voice, relative to the true ones.

    Only for sound whose source is in step with the recording; 1 is silence, and out of step it is more.
    """
    return torch.stack([_wave_distance(made, true, pitch, *scale) for scale in WAVE_RESOLUTIONS]).mean()


def _wave_distance(made: Tensor, true: Tensor, pitch: Tensor, size: int, hop: int) -> Tensor:
    ours, theirs = compressed(made, size, hop), compressed(true, size, hop)
    voiced = (pitch > 0).to(ours.dtype).repeat_interleave(480 // hop, dim=1)
    voiced = F.pad(voiced, (0, ours.shape[2] - voiced.shape[1]))[:, None]
    away, whole = ((z.square().sum(-1) + 1e-6).sqrt() for z in (ours - theirs, theirs))
    return (away * voiced).sum() / (whole * voiced).sum().clamp(min=1.0)


def compressed(
    samples: Tensor,  # [B, N]
    size: int,
    hop: int,
) -> Tensor:  # [B, bins, frames, 2]
    """Real and imaginary parts up to WAVE_HZ with magnitudes to the power of COMPRESSION, in float32."""
    with torch.autocast(samples.device.type, enabled=False):
        z = torch.stft(samples.float(), size, hop, window=hann(size, samples.device), return_complex=True)
        parts = torch.view_as_real(z[:, : WAVE_HZ * size // 24_000])
        return parts * (parts.square().sum(-1, keepdim=True) + SOFT).pow((COMPRESSION - 1) / 2)
