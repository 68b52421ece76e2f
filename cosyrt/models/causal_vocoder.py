"""mel + harmonic source → samples, every convolution causal: the HiFT of CosyVoice 3.

Shapes: B batch · M mel frames · N samples = M · samples per frame · J frames of the small transform · F its
bins · C channels.
A stream is exact here: convolutions remember what is left of their input, the first one and the pitch are
given the few frames that follow, and the small transform keeps what overlaps.
Source: upstream's `hifigan/generator.py` (CausalHiFTGenerator) and `transformer/convolution.py`; the rest as
in `vocoder.py`.
"""

from __future__ import annotations

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.layers import CausalConv, with_lookahead
from cosyrt.models.source import CausalPitchPredictor, Phase, SteppedSource
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.vocoder import LAST_SLOPE, LOG_MAGNITUDE_LIMIT, Snake, VocoderConfig


class CausalResidualBlock(nn.Module):
    """Pairs of a dilated and a plain causal convolution, each behind a Snake."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(CausalConv(channels, channels, kernel, dilation=d) for d in dilations)
        self.convs2 = nn.ModuleList(CausalConv(channels, channels, kernel) for _ in dilations)
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)

    def forward(
        self,
        x: Tensor,  # [B, C, T]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C, T]
        for conv1, conv2, act1, act2 in zip(
            self.convs1, self.convs2, self.activations1, self.activations2, strict=True
        ):
            x = x + conv2(act2(conv1(act1(x), cache)), cache)
        return x


class Up(CausalConv):
    """Repeat each position, then a causal convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, factor: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.factor = factor

    def forward(
        self,
        x: Tensor,  # [B, C, T]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C', factor · T]
        return super().forward(x.repeat_interleave(self.factor, dim=2), cache)


class Down(nn.Conv1d):
    """Strided convolution that brings the frames of the transform to a stage's rate."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__(inputs, outputs, 2 * factor if factor > 1 else 1, factor)

    def forward(
        self,
        x: Tensor,  # [B, C, J]
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, C', J / factor]
        factor = self.stride[0]
        if factor == 1:
            return super().forward(x)
        if cache is None:
            return super().forward(F.pad(x, (factor - 1, 0)))
        # At the start there is one frame more, at position 0: it takes the place of a remembered one.
        joined = cache.left_context(x, factor)
        return super().forward(joined[:, :, joined.shape[2] % factor :])


class CausalVocoder(nn.Module):
    """HiFT of CosyVoice 3, whose convolutions are causal."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        assert config.lookahead_frames is not None
        self.config = c = config
        self.lookahead: int = config.lookahead_frames
        self.f0_predictor = CausalPitchPredictor(c.mel_bins, c.pitch_channels)
        self.m_source = SteppedSource(c.source)
        self.conv_pre = nn.Conv1d(c.mel_bins, c.channels, self.lookahead + 1)
        widths = [c.channels >> i for i in range(len(c.upsample_rates) + 1)]
        steps = zip(widths[:-1], widths[1:], c.upsample_kernels, c.upsample_rates, strict=True)
        self.ups = nn.ModuleList(Up(*step) for step in steps)
        strides = list(accumulate([1, *c.upsample_rates[:0:-1]], lambda a, b: a * b))[::-1]
        bins = c.transform_size + 2
        self.source_downs = nn.ModuleList(
            Down(bins, width, s) for width, s in zip(widths[1:], strides, strict=True)
        )
        self.source_resblocks = nn.ModuleList(
            CausalResidualBlock(width, k, d)
            for width, k, d in zip(widths[1:], c.source_kernels, c.source_dilations, strict=True)
        )
        self.resblocks = nn.ModuleList(
            CausalResidualBlock(width, k, d)
            for width in widths[1:]
            for k, d in zip(c.kernels, c.dilations, strict=True)
        )
        self.conv_post = CausalConv(widths[-1], bins, 7)

    def f0(
        self,
        mel: Tensor,  # [B, 80, M]
        lookahead: Tensor | None = None,  # [B, 80, lookahead] frames that follow; None: nothing follows
        cache: StreamCache | None = None,  # of the frames before these
    ) -> Tensor:  # [B, M] Hz
        """Predict the pitch of every frame."""
        pitch: Tensor = self.f0_predictor(mel, lookahead, cache)
        return pitch

    def excitation(
        self,
        pitch: Tensor,  # [B, M] Hz
        noise: Tensor | None = None,  # [B, N, H] uniform in [0, 1)
        before: Phase | None = None,
    ) -> Tensor:  # [B, 1, N]
        """Make the harmonic source of these frames."""
        source: Tensor = self.m_source(pitch, noise, before)
        return source

    def decode(
        self,
        mel: Tensor,  # [B, 80, M]
        excitation: Tensor,  # [B, 1, N], and the frame after them where something follows
        lookahead: Tensor | None = None,  # [B, 80, lookahead] frames that follow; None: nothing follows
        cache: StreamCache | None = None,  # of the frames before these
    ) -> Tensor:  # [B, N] samples in [-limit, limit]
        """Filter the excitation into speech.

        Half a transform less one hop (4 samples) wait for the next frame where something follows.
        """
        c = self.config
        start = cache is None or cache.empty
        own = mel.shape[2] * c.samples_per_frame
        source = self.spectrum(excitation[:, 0, :own], excitation[:, 0, own:], cache)
        x = self.conv_pre(with_lookahead(mel, lookahead, self.lookahead))
        for i, (up, down, block) in enumerate(
            zip(self.ups, self.source_downs, self.source_resblocks, strict=True)
        ):
            x = up(F.leaky_relu(x, c.slope), cache)
            if start and i == len(self.ups) - 1:
                x = F.pad(x, (1, 0), mode="reflect")  # the centred transform has one frame more
            x = x + block(down(source, cache), cache)
            branches = self.resblocks[i * len(c.kernels) : (i + 1) * len(c.kernels)]
            x = torch.stack([branch(x, cache) for branch in branches]).mean(0)
        x = self.conv_post(F.leaky_relu(x, LAST_SLOPE), cache)
        return self.waveform(x, cache, more=lookahead is not None)

    def window(
        self,
        like: Tensor,
    ) -> Tensor:  # [transform size]
        """Hann window in float32 on the same device."""
        return torch.hann_window(self.config.transform_size, device=like.device)

    def spectrum(
        self,
        samples: Tensor,  # [B, N] excitation
        following: Tensor,  # [B, half a transform or more], or of no samples where nothing follows
        cache: StreamCache | None = None,
    ) -> Tensor:  # [B, 2F, J] real parts, then imaginary parts
        """Centred transform of the excitation, always in float32: reflected where it begins and ends."""
        c = self.config
        half = c.transform_size // 2
        before = samples[:, 1 : half + 1].flip(1)
        if cache is not None:
            reach = half - c.transform_hop
            kept = cache.left_context(samples[:, None], reach)[:, 0, :reach]
            before = before if cache.empty else kept
        after = following[:, :half] if following.shape[1] else samples[:, -half - 1 : -1].flip(1)
        with torch.autocast(samples.device.type, enabled=False):
            z = torch.stft(
                torch.cat([before, samples, after], dim=1).float(),
                c.transform_size,
                c.transform_hop,
                window=self.window(samples),
                center=False,
                return_complex=True,
            )
        return torch.cat([z.real, z.imag], dim=1)

    def waveform(
        self,
        x: Tensor,  # [B, 2F, J] log magnitudes, then raw phases
        cache: StreamCache | None = None,
        *,
        more: bool = False,
    ) -> Tensor:  # [B, N]
        """Inverse transform of the predicted magnitudes and phases, in float32; `more`: frames follow."""
        c = self.config
        overlap = c.transform_size // c.transform_hop - 1
        left = right = c.transform_size // 2 - c.transform_hop  # samples that a neighbour still adds to
        if cache is None or cache.empty:
            left = 0
        if cache is not None:
            joined = cache.left_context(x, overlap)
            x = joined[:, :, overlap:] if cache.empty else joined
        bins = c.transform_size // 2 + 1
        with torch.autocast(x.device.type, enabled=False):
            magnitude = x[:, :bins].float().clamp(max=LOG_MAGNITUDE_LIMIT).exp()
            samples = torch.istft(
                torch.polar(magnitude, torch.sin(x[:, bins:].float())),
                c.transform_size,
                c.transform_hop,
                window=self.window(x),
            )
        end = samples.shape[1] - right if more else samples.shape[1]
        return samples[:, left:end].clamp(-c.audio_limit, c.audio_limit)

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
        noise: Tensor | None = None,  # [B, N, H]
    ) -> Tensor:  # [B, N]
        """Turn a mel to samples in one piece."""
        return self.decode(mel, self.excitation(self.f0(mel), noise))
