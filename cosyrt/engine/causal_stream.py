"""mel → samples, chunk by chunk, through a causal vocoder: nothing is computed twice, nothing is faded.

Shapes: B batch (1 here) · M mel frames · N samples · H harmonics. The stream is exact: the vocoder remembers
what is left of every convolution, the phase of the source runs on, its noise follows from the position, and
the few frames that the first convolutions look ahead are waited for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cosyrt.engine.stages import Stages
from cosyrt.models.layers import StreamCache
from cosyrt.models.source import PITCH_LOOKAHEAD_FRAMES, Phase, phase_after
from cosyrt.models.vocoder import VocoderConfig


class CausalAudioStream:
    """The samples of one utterance."""

    def __init__(self, stages: Stages, config: VocoderConfig, generator: torch.Generator | None) -> None:
        assert config.lookahead_frames is not None
        self.stages, self.config, self.generator = stages, config, generator
        self.lookahead: int = config.lookahead_frames
        self.mel: Tensor | None = None  # [1, 80, M] frames that are not decoded yet
        self.source: Tensor | None = None  # [1, 1, N] excitation of the first of them
        self.pitched = 0  # frames of `mel` whose excitation is known
        self.phase: Phase | None = None
        self.pitch_cache, self.cache = StreamCache(), StreamCache()

    def push(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Tensor:  # [N] samples that are final
        """Take in mel frames, give back the samples that no later frame can change; `last` gives the rest."""
        self.mel = mel if self.mel is None else torch.cat([self.mel, mel], dim=2)
        known = self.mel.shape[2]
        self.excite(known if last else known - PITCH_LOOKAHEAD_FRAMES, last)
        # The transform of a frame's excitation reaches into the next frame.
        end = known if last else min(known - self.lookahead, self.pitched - 1)
        return self.decode(end, last) if end > 0 else mel.new_zeros(0)

    def excite(self, upto: int, last: bool) -> None:
        """Extend the excitation to the frames before `upto`."""
        fresh = upto - self.pitched
        if fresh <= 0:
            return
        assert self.mel is not None
        ahead = None if last else self.mel[:, :, upto:]
        pitch = self.stages.pitch(self.mel[:, :, self.pitched : upto], ahead, self.pitch_cache.begin())
        source = self.stages.excite(pitch, self.noise(fresh), self.phase)
        self.phase = phase_after(self.config.source, pitch, self.phase)
        self.source = source if self.source is None else torch.cat([self.source, source], dim=2)
        self.pitched = upto

    def noise(self, frames: int) -> Tensor | None:  # [1, N, H]
        """Noise of the frames: the next numbers of the generator."""
        if self.generator is None:
            return None
        assert self.mel is not None
        size = (1, frames * self.config.samples_per_frame, self.config.harmonics)
        return torch.rand(size, generator=self.generator).to(self.mel)

    def decode(self, end: int, last: bool) -> Tensor:  # [N]
        """Samples of the frames before `end`, which are then forgotten."""
        assert self.mel is not None and self.source is not None
        hop = self.config.samples_per_frame
        ahead = None if last else self.mel[:, :, end:]
        source = self.source[:, :, : (end + (0 if last else 1)) * hop]
        samples = self.stages.vocode(self.mel[:, :, :end], source, ahead, self.cache.begin())
        self.mel, self.source = self.mel[:, :, end:], self.source[:, :, end * hop :]
        self.pitched -= end
        return samples[0]
