"""The past of a stream: what is kept of the frames before a chunk, within a budget.

Shapes: B batch (both branches of the guidance) · M new mel frames · F all mel frames so far.
Keys, values and convolution tails of an Euler step are large (460 KB a frame and step for the published
model in float32), the inputs of the step are small (2 KB). A step that has lost the large part computes its
past again from the small one; the others resume from what they keep. So a stream that outgrows its budget
becomes dearer step by step, and its frames stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs


class StepCache(StreamCache):
    """Stream cache of one Euler step, with the inputs that it can be computed from again."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: FlowInputs | None = None  # of all frames so far; the mask is that of the last ones
        self.kept = True  # whether keys, values and tails are still there

    def drop(self) -> None:
        """Drop keys, values and tails for good."""
        self.restore([])
        self.kept = False

    def copy(self) -> StepCache:
        """Copy for a stream of its own."""
        other = StepCache()
        other.restore(self.slots())
        other.inputs, other.kept = self.inputs, self.kept
        return other

    def checkpoint(self) -> Callable[[], None]:
        """Remember the content and the inputs; the function that is returned brings them back."""
        content, inputs = super().checkpoint(), self.inputs

        def bring_back() -> None:
            content()
            self.inputs = inputs

        return bring_back

    @property
    def bytes(self) -> int:
        """Size in bytes; the mask, which all steps share, is left out."""
        i = self.inputs
        return super().bytes + (0 if i is None else sum(x.nbytes for x in (i.x, i.valid, i.mu, i.prompt)))

    def resume(
        self,
        new: FlowInputs,
        mask: Tensor | None,  # [1, F, F] of all frames, for a step that computes them again
    ) -> tuple[FlowInputs, StreamCache | None]:
        """Arguments of the velocity for the new frames: with the cache, or with all frames and without it."""
        self.inputs = every = new if self.inputs is None else joined(self.inputs, new)
        if self.kept:
            return new, self.begin()
        assert mask is not None, "a step was dropped between two chunks"
        return every._replace(mask=mask.expand(len(new.x), -1, -1)), None


def joined(before: FlowInputs, new: FlowInputs) -> FlowInputs:
    """Append new frames to those of earlier calls; time, speaker and mask are those of the new ones."""
    x, valid, mu, prompt = (
        torch.cat(pair, dim=2)
        for pair in zip(
            (before.x, before.valid, before.mu, before.prompt),
            (new.x, new.valid, new.mu, new.prompt),
            strict=True,
        )
    )
    return new._replace(x=x, valid=valid, mu=mu, prompt=prompt)


@dataclass(slots=True)
class Past:
    """Caches of a stream for the tokens whose frames are done, prompt included."""

    tokens: int = 0
    encoder: StreamCache = field(default_factory=StreamCache)
    velocity: list[StepCache] = field(default_factory=list)  # one an Euler step
    mask: Tensor | None = None  # [1, F, F] of all frames, this chunk included; None: all steps are kept

    def copy(self) -> Past:
        """Copy for a stream of its own."""
        return Past(self.tokens, self.encoder.copy(), [cache.copy() for cache in self.velocity])

    def keep_no_more(self) -> None:
        """Take nothing more in: the chunk that comes is the last one."""
        self.encoder.keeps = False
        for cache in self.velocity:
            cache.keeps = False

    def resume(self, step: int, new: FlowInputs) -> tuple[FlowInputs, StreamCache | None]:
        """Arguments of the velocity for the new frames at that Euler step."""
        return self.velocity[step].resume(new, self.mask)

    def checkpoint(self, step: int) -> Callable[[], None]:
        """Remember what is kept for that Euler step; the function that is returned brings it back."""
        return self.velocity[step].checkpoint()

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.encoder.bytes + sum(cache.bytes for cache in self.velocity)

    @property
    def kept(self) -> int:
        """Number of Euler steps that still have their keys and values."""
        return sum(cache.kept for cache in self.velocity)

    def shrink(self, budget: int) -> None:
        """Drop steps, the last ones first, until the rest fits or none is left."""
        for cache in reversed(self.velocity):
            if self.bytes > budget and cache.kept:
                cache.drop()
