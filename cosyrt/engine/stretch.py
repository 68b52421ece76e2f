"""Speaking faster or slower: the mel is read at another pace, its pitch stays.

Shapes: B batch · M mel frames.
Source: upstream interpolates the whole mel (`cli/model.py`); here the same lines are drawn piece by piece.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Stretch:
    """Linear interpolation along time that gives the same frames however the mel is cut."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.given = 0  # frames handed out so far
        self.first = 0  # where `kept` starts in the incoming mel
        self.kept: Tensor | None = None  # [B, 80, M] frames that may still be needed

    def push(
        self,
        mel: Tensor,  # [B, 80, M]
        last: bool,
    ) -> Tensor:  # [B, 80, M']
        """Take in frames, give back those that are certain; `last` gives the rest."""
        if self.speed == 1.0:
            return mel
        self.kept = mel if self.kept is None else torch.cat([self.kept, mel], dim=2)
        known = self.first + self.kept.shape[2]
        total = int(known / self.speed) if last else self.certain(known)
        at = (torch.arange(self.given, total, dtype=torch.float64) + 0.5) * self.speed - 0.5
        at = at.clamp(0, known - 1)
        low = at.floor().long()
        share = (at - low).to(self.kept)
        high = (low + 1).clamp(max=known - 1)
        frames = torch.lerp(self.kept[:, :, low - self.first], self.kept[:, :, high - self.first], share)
        self.given = max(total, self.given)
        self.forget()
        return frames

    def certain(self, known: int) -> int:
        """Number of frames that need none of those to come; each needs a neighbour on its right."""
        return max(self.given, int((known - 1 + 0.5) / self.speed - 0.5))

    def forget(self) -> None:
        """Drop the frames that no later one reads."""
        assert self.kept is not None
        needed = max(self.first, int((self.given + 0.5) * self.speed - 0.5) - 1)
        cut = min(needed - self.first, self.kept.shape[2] - 1)
        if cut > 0:
            self.kept, self.first = self.kept[:, :, cut:], self.first + cut
