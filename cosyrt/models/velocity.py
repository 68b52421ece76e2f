"""Inputs of every velocity network as one value, and how several streams share one call.

Shapes: B batch · M mel frames · K = past + M frames to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.models.stream_cache import PackedCache, StreamCache


class FlowInputs(NamedTuple):
    """Inputs of one call of a velocity network; what is kept of earlier frames is its second argument.

    Graphs that are exported take these tensors one by one, in this order. For a `PackedCache` the frames of n
    streams lie one after another, and columns of the mask count from the start of each frame's own stream.
    """

    x: Tensor  # [B, 80, M] noisy mel at time t
    valid: Tensor  # [B, 1, M] 1 where a frame is not padding
    mask: Tensor  # [B, M, K] True where a frame may look: everywhere, or in its chunk and before
    mu: Tensor  # [B, 80, M] token encoding
    # [B] 0 is noise, 1 is mel, packed [B, n]; to a network what its `timed` makes of it, [B, P] or [B, n, P]
    t: Tensor
    speaker: Tensor  # [B, 80], packed [B, 80, M]
    prompt: Tensor  # [B, 80, M] prompt mel, zero after it

    @property
    def frames(self) -> int:
        """Mel frames of this call."""
        return self.x.shape[2]

    @property
    def past(self) -> int:
        """Mel frames before this call that it looks at, of a single stream."""
        return self.mask.shape[2] - self.x.shape[2]

    def speaker_frames(self) -> Tensor:  # [B, 80, M]
        """Speaker of every frame."""
        return (
            self.speaker if self.speaker.ndim == 3 else self.speaker[:, :, None].expand(-1, -1, self.frames)
        )


# (inputs, cache of the frames before these at the same t, or None) → velocity [B, 80, M]
Velocity = Callable[[FlowInputs, StreamCache | None], Tensor]
Call = tuple[FlowInputs, StreamCache | None]  # arguments of a velocity


def positions_of(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:  # [1, M]
    """Position of each frame in its utterance."""
    if isinstance(cache, PackedCache):
        return cache.positions()
    return torch.arange(inputs.past, inputs.past + inputs.frames)[None]


def packed(calls: Sequence[Call]) -> tuple[FlowInputs, PackedCache]:
    """Pack the calls of several streams into one; a stream without a cache is given an empty one."""
    inputs = [call[0] for call in calls]
    cache = PackedCache(
        [cache or StreamCache().begin() for _, cache in calls],
        lengths=[one.frames for one in inputs],
        pasts=[one.past for one in inputs],
    )
    most = max(one.mask.shape[2] for one in inputs)
    together = FlowInputs(
        x=torch.cat([one.x for one in inputs], dim=2),
        valid=torch.cat([one.valid for one in inputs], dim=2),
        mask=torch.cat([F.pad(one.mask, (0, most - one.mask.shape[2])) for one in inputs], dim=1),
        mu=torch.cat([one.mu for one in inputs], dim=2),
        t=torch.stack([one.t for one in inputs], dim=1),
        speaker=torch.cat([one.speaker_frames() for one in inputs], dim=2),
        prompt=torch.cat([one.prompt for one in inputs], dim=2),
    )
    return together, cache


def unpacked(inputs: FlowInputs, cache: PackedCache) -> list[Call]:
    """Take packed streams apart into a call for each."""
    x, valid, mu, speaker, prompt = (
        torch.split(frames, cache.lengths, dim=2)
        for frames in (inputs.x, inputs.valid, inputs.mu, inputs.speaker, inputs.prompt)
    )
    masks = torch.split(inputs.mask, cache.lengths, dim=1)
    ends = [past + length for past, length in zip(cache.pasts, cache.lengths, strict=True)]
    return [
        (
            FlowInputs(
                x=x[i],
                valid=valid[i],
                mask=masks[i][:, :, : ends[i]],
                mu=mu[i],
                t=inputs.t[:, i],
                speaker=speaker[i][:, :, 0],
                prompt=prompt[i],
            ),
            stream,
        )
        for i, stream in enumerate(cache.caches)
    ]


def one_by_one(velocity: Velocity, inputs: FlowInputs, cache: PackedCache) -> Tensor:  # [B, 80, M]
    """Run packed streams on a velocity that takes one stream at a time."""
    return torch.cat([velocity(*call) for call in unpacked(inputs, cache)], dim=2)
