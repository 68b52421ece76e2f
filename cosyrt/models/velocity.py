"""What every velocity network is given, as one value.

Shapes: B batch · M mel frames · K = past + M frames to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from cosyrt.models.layers import StreamCache


class FlowInputs(NamedTuple):
    """Inputs of one call of a velocity network; what is kept of earlier frames is its second argument.

    Graphs that are exported take these tensors one by one, in this order.
    """

    x: Tensor  # [B, 80, M] noisy mel at time t
    valid: Tensor  # [B, 1, M] 1 where a frame is not padding
    mask: Tensor  # [B, M, K] True where a frame may look: everywhere, or in its chunk and before
    mu: Tensor  # [B, 80, M] token encoding
    t: Tensor  # [B] 0 is noise, 1 is mel; to a network also [B, P], what its `timed` makes of the time
    speaker: Tensor  # [B, 80]
    prompt: Tensor  # [B, 80, M] prompt mel, zero after it

    @property
    def frames(self) -> int:
        """Mel frames of this call."""
        return self.x.shape[2]

    @property
    def past(self) -> int:
        """Mel frames before this call that it looks at."""
        return self.mask.shape[2] - self.x.shape[2]

    def speaker_frames(self) -> Tensor:  # [B, 80, M]
        """The speaker repeated for every frame."""
        return self.speaker[:, :, None].expand(-1, -1, self.frames)


# (inputs, cache of the frames before these at the same t, or None) → velocity [B, 80, M]
Velocity = Callable[[FlowInputs, StreamCache | None], Tensor]
