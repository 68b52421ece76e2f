"""How upstream's vocoders of CosyVoice 1 and 2 are streamed: a little is held back and faded over."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.golden.questions import Golden


class Held:
    """Samples and source that upstream keeps between two chunks of its vocoder."""

    def __init__(self, golden: Golden, frames: int) -> None:
        self.golden, self.frames = golden, frames
        hop = golden.settings.vocoder.samples_per_frame
        self.window = torch.from_numpy(np.hamming(2 * frames * hop))
        self.size = frames * hop
        self.mel: Tensor | None = None
        self.source: Tensor | None = None
        self.samples: Tensor | None = None

    def push(self, mel: Tensor, last: bool) -> Tensor:  # [N]
        """Vocode a chunk behind the frames held back from the one before, and fade over."""
        if self.mel is not None:
            mel = torch.cat([self.mel, mel], dim=2)
        samples, source = self.golden.sound(mel, self.source)
        if self.samples is not None:
            rise, fall = self.window[: self.size], self.window[self.size :]
            samples[: self.size] = (samples[: self.size] * rise + self.samples * fall).float()
        if last:
            return samples
        self.mel, self.source = mel[:, :, -self.frames :], source[:, :, -self.size :]
        self.samples = samples[-self.size :]
        return samples[: -self.size]
