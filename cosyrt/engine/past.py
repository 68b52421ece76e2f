"""What a stream keeps of the frames before a chunk, within a budget.

Shapes: B batch (both branches of the guidance) · M new mel frames · F all mel frames so far.
Keys, values and convolution tails of an Euler step are large (460 KB a frame and step for the published
model in float32), what the step was given is small (2 KB). A step that has lost the large part computes its
past again from the small one; the others go on from what they keep. So a stream that outgrows its budget
becomes dearer step by step, and its frames stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cosyrt.models.flow import Velocity
from cosyrt.models.layers import Memory


class Given(NamedTuple):
    """What the velocity was given at one Euler step, frame by frame."""

    x: Tensor  # [B, 80, F]
    valid: Tensor  # [B, 1, F]
    mu: Tensor  # [B, 80, F]
    prompt: Tensor  # [B, 80, F]

    def then(self, new: Given) -> Given:
        """The frames, then the new ones."""
        return Given(*(torch.cat(pair, dim=2) for pair in zip(self, new, strict=True)))

    @property
    def bytes(self) -> int:
        """What it takes."""
        return sum(tensor.nbytes for tensor in self)


class StepMemory(Memory):
    """The past of one Euler step: what it would compute again, and what it would compute that from."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Given | None = None
        self.kept = True

    def forget(self) -> None:
        """Drop the large part, for good."""
        self.fill([])
        self.kept = False

    def copy(self) -> StepMemory:
        """A memory that may go on by itself."""
        other = StepMemory()
        other.fill(self.slots())
        other.given, other.kept = self.given, self.kept
        return other

    @property
    def bytes(self) -> int:
        """What it takes."""
        return super().bytes + (0 if self.given is None else self.given.bytes)

    def velocity(
        self,
        plain: Velocity,
        new: Given,
        mask: Tensor,  # [B, M, F] what the new frames see, or [B, F, F] what all do where nothing is kept
        t: Tensor,  # [B]
        speaker: Tensor,  # [B, 80]
    ) -> Tensor:  # [B, 80, M]
        """That of the new frames, which from then on belong to the past."""
        self.given = every = new if self.given is None else self.given.then(new)
        x, valid, mu, prompt = new if self.kept else every
        memory = self if self.kept else None
        out = plain(x, valid, mask, mu, t, speaker, prompt, memory)
        return out[:, :, -new.x.shape[2] :]


@dataclass(slots=True)
class Past:
    """The tokens whose frames are done, prompt included."""

    tokens: int = 0
    encoder: Memory = field(default_factory=Memory)
    velocity: list[StepMemory] = field(default_factory=list)  # one an Euler step

    def copy(self) -> Past:
        """A past that may go on by itself."""
        return Past(self.tokens, self.encoder.copy(), [memory.copy() for memory in self.velocity])

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.encoder.bytes + sum(memory.bytes for memory in self.velocity)

    @property
    def kept(self) -> int:
        """Euler steps that go on from their keys and values."""
        return sum(memory.kept for memory in self.velocity)

    def shrink(self, budget: int) -> None:
        """Let steps forget, the last ones first, until the rest fits or none is left."""
        for memory in reversed(self.velocity):
            if self.bytes > budget and memory.kept:
                memory.forget()

    def through(
        self,
        plain: Velocity,
        whole: Tensor | None,  # [1, F, F] what all frames see; None where every step is kept
    ) -> Velocity:
        """A velocity that goes on from here or computes again what came before."""

        def velocity(
            x: Tensor,  # [B, 80, M]
            valid: Tensor,  # [B, 1, M]
            mask: Tensor,  # [B, M, F]
            mu: Tensor,  # [B, 80, M]
            t: Tensor,  # [B]
            speaker: Tensor,  # [B, 80]
            prompt: Tensor,  # [B, 80, M]
            memory: Memory | None,
        ) -> Tensor:  # [B, 80, M]
            assert isinstance(memory, StepMemory)
            if not memory.kept:
                assert whole is not None, "a step forgot between two chunks"
                mask = whole.expand(len(x), -1, -1)
            return memory.velocity(plain, Given(x, valid, mu, prompt), mask, t, speaker)

        return velocity
