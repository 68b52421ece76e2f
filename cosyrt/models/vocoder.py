"""mel + harmonic source → samples, through an inverse short-time Fourier transform (HiFT).

Shapes: B batch · M mel frames · N samples = M · samples per frame · F bins of the small transform · C
channels.
Source: HiFTNet (arXiv:2309.09493), iSTFTNet (arXiv:2203.02395), Snake (arXiv:2006.08195); upstream's
`hifigan/generator.py`. Weight norm is folded when a checkpoint is loaded, so the convolutions here are plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import log, prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.source import HarmonicSource, Phase, PitchPredictor, SourceConfig
from cosyrt.models.stream_cache import StreamCache
from cosyrt.ranges import KERNEL, LEVEL, LOOKAHEAD, RATE, SIZE, FloatRange, IntRange

ALPHA_FLOOR = 1e-9  # keeps Snake finite where alpha is zero
LOG_MAGNITUDE_LIMIT = log(100.0)  # before the exponential, so that training never meets infinity
LAST_SLOPE = 0.01  # upstream leaves torch's default here, while every stage before uses `slope`


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderConfig:
    """HiFT's sizes; names on the left are ours, `from_description` knows upstream's."""

    mel_bins: int = 80
    channels: int = 512
    harmonics: int = 9
    sample_hz: int = 24_000
    sine_level: float = 0.1
    voiced_noise_level: float = 0.003
    voiced_threshold_hz: float = 10.0
    upsample_rates: tuple[int, ...] = (8, 5, 3)
    upsample_kernels: tuple[int, ...] = (16, 11, 7)
    transform_size: int = 16
    transform_hop: int = 4
    kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    source_kernels: tuple[int, ...] = (7, 7, 11)
    source_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    slope: float = 0.1
    audio_limit: float = 0.99
    pitch_channels: int = 512
    lookahead_frames: int | None = None  # of CosyVoice 3, causal but for that; None: both ways

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> VocoderConfig:
        """Read the arguments of upstream's `HiFTGenerator` or its causal form in a model description."""
        lookahead = args.get("conv_pre_look_right")
        return cls(
            mel_bins=SIZE.of(args, "in_channels"),
            channels=SIZE.of(args, "base_channels"),
            harmonics=IntRange(0, 1_000).of(args, "nb_harmonics") + 1,
            sample_hz=RATE.of(args, "sampling_rate"),
            sine_level=LEVEL.of(args, "nsf_alpha"),
            voiced_noise_level=LEVEL.of(args, "nsf_sigma"),
            voiced_threshold_hz=FloatRange(0, 1e6).of(args, "nsf_voiced_threshold"),
            upsample_rates=KERNEL.each(args, "upsample_rates"),
            upsample_kernels=KERNEL.each(args, "upsample_kernel_sizes"),
            transform_size=KERNEL.of(args["istft_params"], "n_fft"),
            transform_hop=KERNEL.of(args["istft_params"], "hop_len"),
            kernels=KERNEL.each(args, "resblock_kernel_sizes"),
            dilations=KERNEL.each_of_each(args, "resblock_dilation_sizes"),
            source_kernels=KERNEL.each(args, "source_resblock_kernel_sizes"),
            source_dilations=KERNEL.each_of_each(args, "source_resblock_dilation_sizes"),
            slope=FloatRange(0, 1).of(args, "lrelu_slope"),
            audio_limit=FloatRange(0.01, 100).of(args, "audio_limit"),
            pitch_channels=SIZE.of(args["f0_predictor"].args, "cond_channels"),
            lookahead_frames=None
            if lookahead is None
            else LOOKAHEAD.checked("conv_pre_look_right", lookahead),
        )

    @property
    def samples_per_frame(self) -> int:
        """Samples in one mel frame: every stage's factor times the hop of the inverse transform."""
        return prod(self.upsample_rates) * self.transform_hop

    @property
    def source(self) -> SourceConfig:
        """Settings of the harmonic source."""
        return SourceConfig(
            sample_hz=self.sample_hz,
            samples_per_frame=self.samples_per_frame,
            harmonics=self.harmonics,
            sine_level=self.sine_level,
            voiced_noise_level=self.voiced_noise_level,
            voiced_threshold_hz=self.voiced_threshold_hz,
        )


class Snake(nn.Module):
    """x + sin²(αx)/α, one α a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(
        self,
        x: Tensor,  # [B, C, N]
    ) -> Tensor:  # [B, C, N]
        alpha = self.alpha[:, None]
        return x + torch.sin(x * alpha).square() / (alpha + ALPHA_FLOOR)


class ResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each behind a Snake."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            padding = dilation * (kernel - 1) // 2
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)

        self.convs1 = nn.ModuleList(conv(d) for d in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)

    def forward(
        self,
        x: Tensor,  # [B, C, N]
    ) -> Tensor:  # [B, C, N]
        for conv1, conv2, act1, act2 in zip(
            self.convs1, self.convs2, self.activations1, self.activations2, strict=True
        ):
            x = x + conv2(act2(conv1(act1(x))))
        return x


class Vocoder(nn.Module):
    """HiFT as CosyVoice 1 and 2 use it, each with its source: convolutions look both ways."""

    def __init__(self, config: VocoderConfig, source: type[HarmonicSource] = HarmonicSource) -> None:
        super().__init__()
        self.config = c = config
        self.f0_predictor = PitchPredictor(c.mel_bins, c.pitch_channels)
        self.m_source = source(c.source)
        self.conv_pre = nn.Conv1d(c.mel_bins, c.channels, 7, padding=3)
        widths = [c.channels >> i for i in range(len(c.upsample_rates) + 1)]
        steps = zip(widths[:-1], widths[1:], c.upsample_kernels, c.upsample_rates, strict=True)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(wide, narrow, k, u, padding=(k - u) // 2) for wide, narrow, k, u in steps
        )
        strides = list(accumulate([1, *c.upsample_rates[:0:-1]], lambda a, b: a * b))[::-1]
        bins = c.transform_size + 2
        self.source_downs = nn.ModuleList(
            nn.Conv1d(bins, width, 1) if s == 1 else nn.Conv1d(bins, width, 2 * s, s, padding=s // 2)
            for width, s in zip(widths[1:], strides, strict=True)
        )
        self.source_resblocks = nn.ModuleList(
            ResidualBlock(width, k, d)
            for width, k, d in zip(widths[1:], c.source_kernels, c.source_dilations, strict=True)
        )
        self.resblocks = nn.ModuleList(
            ResidualBlock(width, k, d)
            for width in widths[1:]
            for k, d in zip(c.kernels, c.dilations, strict=True)
        )
        self.conv_post = nn.Conv1d(widths[-1], bins, 7, padding=3)

    def f0(
        self,
        mel: Tensor,  # [B, 80, M]
        lookahead: Tensor | None = None,  # none: the frames that follow are part of the mel
        cache: StreamCache | None = None,  # none, for the same reason
    ) -> Tensor:  # [B, M] Hz
        """Predict the pitch of every frame."""
        assert lookahead is None and cache is None, "this vocoder looks both ways"
        pitch: Tensor = self.f0_predictor(mel)
        return pitch

    def excitation(
        self,
        pitch: Tensor,  # [B, M] Hz
        noise: Tensor | None = None,  # [B, N, H] standard normal
        before: Phase | None = None,
    ) -> Tensor:  # [B, 1, N]
        """Make the harmonic source of these frames."""
        source: Tensor = self.m_source(pitch, noise, before)
        return source

    def decode(
        self,
        mel: Tensor,  # [B, 80, M]
        excitation: Tensor,  # [B, 1, N]
        lookahead: Tensor | None = None,  # none: the frames that follow are part of the mel
        cache: StreamCache | None = None,  # none, for the same reason
    ) -> Tensor:  # [B, N] samples in [-limit, limit]
        """Filter the excitation into speech."""
        assert lookahead is None and cache is None, "this vocoder looks both ways"
        return self.waveform(self.filtered(mel, self.spectrum(excitation.squeeze(1))))

    def filtered(
        self,
        mel: Tensor,  # [B, 80, M]
        source: Tensor,  # [B, 2F, N / hop + 1] transform of the excitation
    ) -> Tensor:  # [B, 2F, N / hop + 1] log magnitudes, then raw phases
        """Run all convolutions, between the transform of the excitation and the inverse transform."""
        c = self.config
        x = self.conv_pre(mel)
        for i, (up, down, block) in enumerate(
            zip(self.ups, self.source_downs, self.source_resblocks, strict=True)
        ):
            x = up(F.leaky_relu(x, c.slope))
            if i == len(self.ups) - 1:
                x = F.pad(x, (1, 0), mode="reflect")  # the centred transform has one frame more
            x = x + block(down(source))
            branches = self.resblocks[i * len(c.kernels) : (i + 1) * len(c.kernels)]
            x = torch.stack([branch(x) for branch in branches]).mean(0)
        out: Tensor = self.conv_post(F.leaky_relu(x, LAST_SLOPE))
        return out

    def window(
        self,
        like: Tensor,
    ) -> Tensor:  # [transform size]
        """Hann window in float32 on the same device."""
        return torch.hann_window(self.config.transform_size, device=like.device)

    def spectrum(
        self,
        samples: Tensor,  # [B, N]
    ) -> Tensor:  # [B, 2F, N / hop + 1] real parts, then imaginary parts
        """Centred transform of the excitation, always in float32."""
        c = self.config
        with torch.autocast(samples.device.type, enabled=False):
            window = self.window(samples)
            z = torch.stft(
                samples.float(), c.transform_size, c.transform_hop, window=window, return_complex=True
            )
        return torch.cat([z.real, z.imag], dim=1)

    def waveform(
        self,
        x: Tensor,  # [B, 2F, N / hop + 1] log magnitudes, then raw phases
    ) -> Tensor:  # [B, N]
        """Inverse transform of the predicted magnitudes and phases, always in float32."""
        c = self.config
        bins = c.transform_size // 2 + 1
        with torch.autocast(x.device.type, enabled=False):
            magnitude = x[:, :bins].float().clamp(max=LOG_MAGNITUDE_LIMIT).exp()
            phase = torch.sin(x[:, bins:].float())
            samples = torch.istft(
                torch.polar(magnitude, phase), c.transform_size, c.transform_hop, window=self.window(x)
            )
        return samples.clamp(-c.audio_limit, c.audio_limit)

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
        noise: Tensor | None = None,  # [B, N, H]
    ) -> Tensor:  # [B, N]
        """Turn a mel to samples in one piece."""
        return self.decode(mel, self.excitation(self.f0(mel), noise))
