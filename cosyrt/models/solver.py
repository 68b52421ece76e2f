"""noise → mel: a few steps along a velocity that guidance pushes away from the unconditional one.

Shapes: B batch · M mel frames · K = past + M frames to look at.
Source: flow matching (arXiv:2210.02747) with classifier-free guidance (arXiv:2207.12598); upstream's
`flow/flow_matching.py`, which takes Euler's steps, all of them guided. Second order is the two-step method of
Adams and Bashforth for steps of unequal length; guidance on some of the steps is arXiv:2404.07724.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

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

    def checkpoint(self, step: int) -> Callable[[], None]:
        """Remember what is kept for a step; the function that is returned brings it back."""


@lru_cache
def fixed_noise() -> Tensor:  # [1, 80, NOISE_FRAMES]
    """The noise every utterance starts from: one for all, by position, as upstream draws it."""
    return torch.randn(1, 80, NOISE_FRAMES, generator=torch.Generator().manual_seed(NOISE_SEED))


def time_steps(steps: int) -> Tensor:  # [steps + 1] from 0 to 1
    """Cosine schedule: small steps first, where the path bends. On the host, where it is looked up."""
    return 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * torch.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """The steps from noise to mel: their times, the guidance of each, and the order of the method."""

    times: tuple[float, ...]  # of the steps, rising from 0, and 1 behind the last
    guidance: tuple[float, ...]  # of each step; a step with 0 leaves out the unconditional branch
    order: Literal[1, 2] = 1  # 1: Euler; 2: Adams-Bashforth, which looks back at the step before

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.guidance)

    @property
    def rows(self) -> int:
        """Rows of all velocity calls for one mel together, which is what solving for it costs."""
        return sum(2 if guidance else 1 for guidance in self.guidance)


@lru_cache
def euler(steps: int, guidance: float) -> Solver:
    """Make the solver of the published models: Euler's steps, all of them guided."""
    return Solver(times=tuple(time_steps(steps).tolist()), guidance=(guidance,) * steps)


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
    solver: Solver
    times: Tensor  # [steps + 1]
    past: SolverPast | None = None
    packs: bool = True  # with others in one call; a velocity that looks both ways (CosyVoice 1) takes one
    step: int = 0  # of those that are done
    before: Tensor | None = None  # [B, 80, M] guided velocity of the step before, for the second order

    @property
    def done(self) -> bool:
        """Whether all steps are done, so that x is the mel."""
        return self.step == self.solver.steps

    @property
    def is_guided(self) -> bool:
        """Whether the next step has an unconditional branch."""
        return self.solver.guidance[self.step] != 0

    def call(self) -> tuple[FlowInputs, StreamCache | None]:
        """Arguments of the velocity for the next step; its result may begin with frames of the past."""
        if self.is_guided:
            x, inputs = torch.cat([self.x, self.x]), self.inputs
        else:
            x, inputs = self.x, FlowInputs(*(each[: len(self.x)] for each in self.inputs))
        new = inputs._replace(x=x, t=self.times[self.step].expand(len(x)))
        return (new, None) if self.past is None else self.past.resume(self.step, new)

    def length(self, step: int) -> Tensor:  # []
        """Time that a step covers."""
        return self.times[step + 1] - self.times[step]

    def advance(
        self,
        v: Tensor,  # [2B or B, 80, past + M] velocity of both branches
    ) -> None:
        """Take one step along the velocity."""
        v = guided(v[:, :, -self.x.shape[2] :], self.solver.guidance[self.step])
        before, at, after = (
            self.times[max(0, self.step - 1)],
            self.times[self.step],
            self.times[self.step + 1],
        )
        slope = v
        if self.before is not None:
            slope = v + (after - at) / (2 * (at - before)) * (v - self.before)
        self.x = self.x + (after - at) * slope
        self.before = v if self.solver.order == 2 else None
        self.step += 1


# Yields each state that must be solved before the next is asked for; returns the mel.
Solving = Generator[SolverState, None, Tensor]


def begin(
    noise: Tensor,  # [B, 80, M]
    mask: Tensor,  # [B, M, K]
    mu: Tensor,  # [B, 80, M]
    speaker: Tensor,  # [B, 80]
    prompt: Tensor,  # [B, 80, M]
    *,
    solver: Solver,
    past: SolverPast | None = None,
    packs: bool = True,
) -> SolverState:
    """Make the state before the first step."""
    times = torch.tensor(solver.times)
    valid, t = torch.ones_like(mu[:, :1]), times[0].expand(len(mu))
    inputs = both_branches(FlowInputs(noise, valid, mask, mu, t, speaker, prompt), max(solver.guidance))
    return SolverState(noise, inputs, solver, times, past, packs)


def step(velocity: Velocity, states: Sequence[SolverState]) -> None:
    """Take one step of each state, in as few calls of the velocity as can be.

    States that are packed may have other lengths and pasts and stand at other steps; those whose step has no
    guidance have fewer rows, and a call of their own. Where a call raises, its states are as they were before
    it, so that they may be tried again one by one.
    """
    for together in batches(states):
        undo = [state.past.checkpoint(state.step) for state in together if state.past is not None]
        try:
            velocities = _velocities(velocity, together)
        except BaseException:
            for bring_back in undo:
                bring_back()
            raise
        for state, v in zip(together, velocities, strict=True):
            state.advance(v)


def batches(states: Sequence[SolverState]) -> list[list[SolverState]]:
    """Group states by the calls that their next steps take."""
    packed_ones = [state for state in states if state.packs]
    groups = [[state for state in packed_ones if state.is_guided is branches] for branches in (True, False)]
    return [*filter(None, groups), *([state] for state in states if not state.packs)]


def _velocities(velocity: Velocity, states: Sequence[SolverState]) -> Sequence[Tensor]:
    """Velocities of the next step of these states, in one call."""
    calls = [state.call() for state in states]
    if len(calls) == 1:
        return [velocity(*calls[0])]
    inputs, cache = packed(calls)
    return torch.split(velocity(inputs, cache), cache.lengths, dim=2)


def solve(velocity: Velocity, state: SolverState) -> Tensor:  # [B, 80, M] mel
    """Take all remaining steps."""
    while not state.done:
        step(velocity, [state])
    return state.x


def solved(velocity: Velocity, solving: Solving) -> Tensor:  # [B, 80, M] mel
    """Solve one state after another, each alone."""
    try:
        while True:
            solve(velocity, next(solving))
    except StopIteration as end:
        mel: Tensor = end.value
        return mel
