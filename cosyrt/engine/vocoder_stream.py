"""mel → samples, chunk by chunk, equal to the whole: the vocoder is given enough mel on either side of a cut.

Shapes: B batch (1 here) · M mel frames · N samples · H harmonics. Upstream fades between chunks that do not
agree (its fade windows sum to 1.08). Here they agree: the pitch is exact once its neighbours are known, the
phase of the source runs on, its noise belongs to the frame, and a sample is given out only when everything
that the convolutions can reach is there.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from cosyrt.engine.stages import Stages
from cosyrt.models.source import Phase, phase_after
from cosyrt.models.vocoder import VocoderConfig

PITCH_REACH_FRAMES = 5  # five convolutions of width three
OUTER_REACH = 3  # the first and the last convolution are seven wide


def reach_frames(config: VocoderConfig) -> int:
    """How far a sample depends on the mel and the excitation to either side, in frames, rounded up."""
    c = config
    rate = c.samples_per_frame / c.transform_hop  # positions a frame at the last stage
    reach = (c.transform_size / 2 / c.transform_hop + 1 + OUTER_REACH) / rate
    branches = max(map(_span, c.kernels, c.dilations))
    source = 0.0
    stages = zip(c.upsample_rates, c.upsample_kernels, c.source_kernels, c.source_dilations, strict=True)
    for up, kernel, source_kernel, source_dilations in reversed(list(stages)):
        reach += branches / rate
        # The excitation joins here: through its own transform, one strided convolution and a residual block.
        joined = (_span(source_kernel, source_dilations) + 1) / rate
        source = max(source, reach + joined + c.transform_size / 2 / c.samples_per_frame)
        rate /= up
        reach += kernel / up / 2 / rate
    return ceil(max(source, reach + OUTER_REACH / rate))


def _span(kernel: int, dilations: tuple[int, ...]) -> float:
    """Positions that a dilated and a plain convolution for each dilation reach to either side."""
    return (kernel - 1) / 2 * sum(dilation + 1 for dilation in dilations)


class AudioStream:
    """The samples of one utterance."""

    def __init__(self, stages: Stages, config: VocoderConfig, generator: torch.Generator | None) -> None:
        self.stages, self.config, self.generator = stages, config, generator
        self.reach = reach_frames(config)
        self.mel: Tensor | None = None  # [1, 80, M] from frame `start` on
        self.source: Tensor | None = None  # [1, 1, N] excitation from frame `start` on
        self.start = 0  # first frame kept
        self.excited = 0  # frames whose excitation is known
        self.spoken = 0  # frames whose samples were given
        self.phase: Phase | None = None

    def push(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Tensor:  # [N] samples that are final
        """Take in mel frames, give back the samples that no later frame can change; `last` gives the rest."""
        self.mel = mel if self.mel is None else torch.cat([self.mel, mel], dim=2)
        known = self.start + self.mel.shape[2]
        self.excite(known if last else known - PITCH_REACH_FRAMES, last)
        end = self.excited if last else self.excited - self.reach
        if end <= self.spoken:
            return mel.new_zeros(0)
        return self.speak(end)

    def excite(self, pitched: int, last: bool) -> None:
        """Extend the excitation over the frames whose pitch is certain; the last needs the next one, too."""
        upto = pitched if last else pitched - 1
        if upto <= self.excited:
            return
        assert self.mel is not None
        # One frame more than is kept, so that the line to the next frame's phase is drawn; its own half is
        # not.
        around = self.mel[:, :, max(0, self.excited - self.start - PITCH_REACH_FRAMES) :]
        skip = min(self.excited - self.start, PITCH_REACH_FRAMES)
        pitch = self.stages.pitch(around)[:, skip : skip + pitched - self.excited]
        fresh = upto - self.excited
        noise = self.noise(fresh)
        if noise is not None and pitch.shape[1] > fresh:
            noise = torch.nn.functional.pad(noise, (0, 0, 0, self.config.samples_per_frame))
        source = self.stages.excite(pitch, noise, self.phase)[:, :, : fresh * self.config.samples_per_frame]
        self.phase = phase_after(self.config.source, pitch[:, :fresh], self.phase)
        self.source = source if self.source is None else torch.cat([self.source, source], dim=2)
        self.excited = upto

    def noise(self, frames: int) -> Tensor | None:  # [1, N, H]
        """Noise of the frames, drawn one frame at a time so that it is the same however the stream is cut."""
        if self.generator is None:
            return None
        assert self.mel is not None
        size = (1, self.config.samples_per_frame, self.config.harmonics)
        drawn = [torch.randn(size, generator=self.generator) for _ in range(frames)]
        return torch.cat(drawn, dim=1).to(self.mel)

    def speak(self, end: int) -> Tensor:  # [N]
        """Samples of the frames up to `end`; then the frames out of reach are dropped."""
        assert self.mel is not None and self.source is not None
        hop = self.config.samples_per_frame
        kept = self.excited - self.start
        samples = self.stages.vocode(self.mel[:, :, :kept], self.source[:, :, : kept * hop])
        fresh = samples[0, (self.spoken - self.start) * hop : (end - self.start) * hop]
        self.spoken = end
        self.drop(max(self.start, min(end - self.reach, self.excited - PITCH_REACH_FRAMES)))
        return fresh

    def drop(self, start: int) -> None:
        """Forget the frames before `start`."""
        assert self.mel is not None and self.source is not None
        cut = start - self.start
        self.mel, self.source = self.mel[:, :, cut:], self.source[:, :, cut * self.config.samples_per_frame :]
        self.start = start
