"""noise → mel: Euler's method along a velocity that guidance pushes away from the unconditional one.

Shapes: B batch · M mel frames · K = past + M frames to look at.
Source: flow matching (arXiv:2210.02747) with classifier-free guidance (arXiv:2207.12598); upstream's
`flow/flow_matching.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs, Velocity, packed

NOISE_FRAMES = 15_000  # upstream draws this much once, so a frame's noise depends on its position alone
NOISE_SEED = 0


class SolverPast(Protocol):
    """Earlier frames of a stream, as a solver needs them at each step."""

    def resume(self, step: int, new: FlowInputs) -> tuple[FlowInputs, StreamCache | None]:
        """Inputs and cache of a velocity call whose last frames are the new ones."""


@lru_cache
def fixed_noise() -> Tensor:  # [1, 80, NOISE_FRAMES]
    """The noise every utterance starts from: one for all, by position, as upstream draws it."""
    return torch.randn(1, 80, NOISE_FRAMES, generator=torch.Generator().manual_seed(NOISE_SEED))


def time_steps(steps: int) -> Tensor:  # [steps + 1] from 0 to 1
    """Cosine schedule: small steps first, where the path bends. On the host, where it is looked up."""
    return 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * torch.pi)


def both_branches(
    inputs: FlowInputs,  # of B rows
    guidance: float,
) -> FlowInputs:  # of 2B rows, or B without guidance
    """Put rows without conditions below those with them: their mu, speaker and prompt are zero.

    Without guidance the unconditional branch counts for nothing, and is left out.
    """
    if guidance == 0:
        return inputs

    def twice(y: Tensor) -> Tensor:
        return torch.cat([y, y])

    def beside_zero(y: Tensor) -> Tensor:
        return torch.cat([y, torch.zeros_like(y)])

    return FlowInputs(
        x=twice(inputs.x),
        valid=twice(inputs.valid),
        mask=twice(inputs.mask),
        mu=beside_zero(inputs.mu),
        t=twice(inputs.t),
        speaker=beside_zero(inputs.speaker),
        prompt=beside_zero(inputs.prompt),
    )


def guided(
    v: Tensor,  # [2B or B, 80, M] velocity of both branches
    guidance: float,
) -> Tensor:  # [B, 80, M]
    """Push the conditional velocity away from the unconditional one."""
    if guidance == 0:
        return v
    conditional, free = v.chunk(2)
    return (1 + guidance) * conditional - guidance * free


@dataclass(slots=True)
class SolverState:
    """A mel on its way from noise: after any step it can wait and be resumed later."""

    x: Tensor  # [B, 80, M] the mel as far as it is solved
    inputs: FlowInputs  # of both branches; x and t are those of the first step
    times: Tensor  # [steps + 1]
    guidance: float
    past: SolverPast | None = None
    step: int = 0  # of those that are done

    @property
    def done(self) -> bool:
        """Whether all steps are done, so that x is the mel."""
        return self.step == len(self.times) - 1

    def call(self) -> tuple[FlowInputs, StreamCache | None]:
        """Arguments of the velocity for the next step; its result may begin with frames of the past."""
        x = self.x if self.guidance == 0 else torch.cat([self.x, self.x])
        new = self.inputs._replace(x=x, t=self.times[self.step].expand(len(x)))
        return (new, None) if self.past is None else self.past.resume(self.step, new)

    def advance(
        self,
        v: Tensor,  # [2B or B, 80, past + M] velocity of both branches
    ) -> None:
        """Take one step along the velocity."""
        v = guided(v[:, :, -self.x.shape[2] :], self.guidance)
        self.x = self.x + (self.times[self.step + 1] - self.times[self.step]) * v
        self.step += 1


def begin(
    noise: Tensor,  # [B, 80, M]
    mask: Tensor,  # [B, M, K]
    mu: Tensor,  # [B, 80, M]
    speaker: Tensor,  # [B, 80]
    prompt: Tensor,  # [B, 80, M]
    *,
    steps: int,
    guidance: float,
    past: SolverPast | None = None,
) -> SolverState:
    """Make the state before the first step."""
    times = time_steps(steps)
    valid, t = torch.ones_like(mu[:, :1]), times[0].expand(len(mu))
    inputs = both_branches(FlowInputs(noise, valid, mask, mu, t, speaker, prompt), guidance)
    return SolverState(noise, inputs, times, guidance, past)


def step(velocity: Velocity, states: Sequence[SolverState]) -> None:
    """Take one step of each state, in one call of the velocity.

    Several states are packed: they may have other lengths and pasts and stand at other steps. A velocity that
    looks both ways (CosyVoice 1) takes one state.
    """
    calls = [state.call() for state in states]
    if len(calls) == 1:
        states[0].advance(velocity(*calls[0]))
        return
    inputs, cache = packed(calls)
    parts = torch.split(velocity(inputs, cache), cache.lengths, dim=2)
    for state, v in zip(states, parts, strict=True):
        state.advance(v)


def solve(velocity: Velocity, state: SolverState) -> Tensor:  # [B, 80, M] mel
    """Take all remaining steps."""
    while not state.done:
        step(velocity, [state])
    return state.x
