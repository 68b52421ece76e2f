"""A vocoder's source in step with a recording: the wave itself can then be learned, not only magnitudes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cosyrt.models.source import HarmonicSource, Phase


class InStepSource(HarmonicSource):
    """The runtime's source with the phase of a recording (`glottis.py`) where the runtime adds up the pitch.

    Same weights by the same names, so what is learned with it runs without it: the runtime's phase is one
    that a recording might have had. The noise of all harmonics is mixed before it is drawn: one normal number
    a sample has the distribution of their weighted sum.
    """

    def forward(
        self,
        pitch: Tensor,  # [B, M] Hz
        noise: Tensor | None = None,  # [B, N, 1] standard normal
        before: Phase | None = None,  # of the recording, see `angles`
    ) -> Tensor:  # [B, 1, N]
        """The excitation of these frames, in step with the recording."""
        c, mix = self.config, self.l_linear.weight[0]
        voiced = (pitch > c.voiced_threshold_hz).to(mix.dtype).repeat_interleave(c.samples_per_frame, dim=1)
        mixed = (torch.sin(self.angles(pitch, before)) @ mix) * c.sine_level * voiced
        if noise is not None:
            level = voiced * c.voiced_noise_level + (1 - voiced) * (c.sine_level / 3)
            mixed = mixed + noise[..., 0] * level * mix.norm()
        return torch.tanh(mixed + self.l_linear.bias)[:, None]

    def angles(
        self,
        pitch: Tensor,  # [B, M] Hz
        before: Phase | None,
    ) -> Tensor:  # [B, N, H] radians
        """Draw every harmonic's phase; `before` has the fundamental's in the middle of each frame, [B, M]."""
        assert before is not None, "a source in step needs the phases of the recording"
        c = self.config
        middle = before.cycles.double()
        advance = self._advance(pitch, middle)
        coming = torch.cat([advance[:, 1:], torch.zeros_like(advance[:, :1])], dim=1)  # flat after the last
        half = c.samples_per_frame // 2
        steps = (torch.arange(c.samples_per_frame, device=pitch.device, dtype=torch.float64) + 0.5) / (
            c.samples_per_frame
        ) - 0.5  # from the middle, in frames
        left = middle[..., None] + steps[:half] * advance[..., None]
        right = middle[..., None] + steps[half:] * coming[..., None]
        fundamental = torch.remainder(torch.cat([left, right], dim=2).flatten(1), 1.0).float()
        multiples = torch.arange(1, c.harmonics + 1, device=pitch.device)
        return 2 * math.pi * fundamental[..., None] * multiples

    def _advance(self, pitch: Tensor, middle: Tensor) -> Tensor:  # [B, M] Hz, [B, M] cycles -> [B, M] cycles
        """Count the turns from one frame's middle to the next: the whole ones are the pitch's."""
        c = self.config
        advance = pitch.double() * c.samples_per_frame / c.sample_hz
        voiced = pitch > c.voiced_threshold_hz
        astray = middle[:, 1:] - middle[:, :-1] - advance[:, 1:]
        both = voiced[:, 1:] & voiced[:, :-1]
        astray = torch.where(both, astray - astray.round(), torch.zeros_like(astray))
        return torch.cat([advance[:, :1], advance[:, 1:] + astray], dim=1)
