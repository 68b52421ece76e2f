"""The solver: guidance, Euler's steps, and the noise that every utterance starts from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import cos, e, pi
from typing import Literal

import pytest
import torch
from torch import Tensor

from cosyrt.engine.stages import tabulated
from cosyrt.models.layers import attention_mask
from cosyrt.models.solver import (
    NOISE_FRAMES,
    Solver,
    SolverState,
    begin,
    both_branches,
    euler,
    fixed_noise,
    guided,
    solve,
    step,
    time_steps,
)
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests import tiny

FRAMES = 12


def drawn(frames: int = FRAMES) -> FlowInputs:
    """Inputs of one row, all of them random."""
    random = torch.Generator().manual_seed(7)
    x, mu, prompt = torch.randn(3, 1, 80, frames, generator=random)
    mask = attention_mask(torch.ones(1, frames).bool(), None)
    speaker = torch.randn(1, 80, generator=random)
    return FlowInputs(x, torch.ones(1, 1, frames), mask, mu, torch.tensor([0.3]), speaker, prompt)


def test_cosine_time_steps() -> None:
    """Times run from 0 to 1 with small steps first: 1 - cos(πi/2n)."""
    assert time_steps(10).tolist() == pytest.approx([1 - cos(pi * i / 20) for i in range(11)], abs=1e-6)


@pytest.mark.parametrize("guidance", [0.7, 0.0])
def test_guidance_pushes_away_from_the_unconditional_velocity(guidance: float) -> None:
    """(1 + g) times the velocity with conditions less g times that without, run one after the other."""
    velocity, inputs = tiny.flow().velocity, drawn()
    free = inputs._replace(mu=0 * inputs.mu, speaker=0 * inputs.speaker, prompt=0 * inputs.prompt)
    wanted = (1 + guidance) * velocity(inputs) - guidance * velocity(free)

    out = guided(velocity(both_branches(inputs, guidance)), guidance)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=0)


def along_mu(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
    """Velocity in the direction of mu that grows with the time."""
    return (1 + inputs.t)[:, None, None] * inputs.mu


def test_the_solver_follows_the_velocity() -> None:
    """Along v = k(t) · mu without guidance, Euler's sum over the cosine steps, each at its left end."""
    x, _, mask, mu, _, speaker, prompt = drawn()
    times = [1 - cos(pi * i / 8) for i in range(5)]

    out = solve(along_mu, begin(x, mask, mu, speaker, prompt, solver=euler(4, 0)))
    total = sum((after - at) * (1 + at) for at, after in pairwise(times))
    torch.testing.assert_close(out, x + total * mu, atol=1e-5, rtol=0)


def test_the_second_order_is_nearer_with_as_many_steps() -> None:
    """Along v = x the exact end is e · x; twice the steps: half of Euler's error, a quarter of this."""
    x, _, mask, mu, _, speaker, prompt = drawn()

    def error(steps: int, order: Literal[1, 2]) -> float:
        solver = replace(euler(steps, 0), order=order)
        state = begin(x, mask, mu, speaker, prompt, solver=solver)
        return float((solve(lambda inputs, cache: inputs.x, state) - e * x).norm())

    assert error(32, 1) / error(64, 1) == pytest.approx(2, rel=0.05)
    assert error(32, 2) / error(64, 2) == pytest.approx(4, rel=0.1)
    assert error(8, 2) < error(8, 1) / 2


def test_steps_without_guidance_leave_out_the_unconditional_branch() -> None:
    """Their calls have one row, and nothing else changes."""
    network, rows = tiny.flow().velocity.requires_grad_(False), list[int]()
    timed = tabulated(network.timed)

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        rows.append(len(inputs.x))
        out: Tensor = network(inputs._replace(t=timed(inputs.t)), cache)
        return out

    x, _, mask, mu, _, speaker, prompt = drawn()
    solver = Solver(times=(0, 0.2, 0.6, 1), guidance=(0.7, 0, 0.4))
    mel = solve(velocity, begin(x, mask, mu, speaker, prompt, solver=solver))
    assert rows == [2, 1, 2] and solver.rows == 5

    for start, end, guidance in ((0, 0.2, 0.7), (0.2, 0.6, 0), (0.6, 1, 0.4)):
        inputs = FlowInputs(x, torch.ones_like(x[:, :1]), mask, mu, torch.tensor([start]), speaker, prompt)
        x = x + (end - start) * guided(velocity(both_branches(inputs, guidance), None), guidance)
    torch.testing.assert_close(mel, x, atol=1e-5, rtol=0)


def test_a_solve_may_wait_after_any_step() -> None:
    """Step by step, with anything in between, the mel is that of all steps at once."""
    x, _, mask, mu, _, speaker, prompt = drawn()
    state = begin(x, mask, mu, speaker, prompt, solver=euler(4, 0.7))
    for done in range(4):
        assert not state.done and state.step == done
        step(along_mu, [state])

    assert state.done
    whole = solve(along_mu, begin(x, mask, mu, speaker, prompt, solver=euler(4, 0.7)))
    assert torch.equal(state.x, whole)


@pytest.mark.parametrize(
    "solver",
    [
        euler(4, 0.7),
        euler(4, 0.0),
        Solver(times=(0, 0.1, 0.3, 0.7, 1), guidance=(0.7, 0.7, 0.7, 0), order=2),
        Solver(times=(0, 0.1, 0.3, 0.7, 1), guidance=(0, 0.7, 0, 0.7), order=2),
    ],
    ids=["guided", "free", "guided first", "guided in turn"],
)
def test_states_at_other_steps_take_a_step_together(solver: Solver) -> None:
    """Two states of other lengths, one two steps ahead, each end as they do alone."""
    network = tiny.flow().velocity.requires_grad_(False)
    timed = tabulated(network.timed)

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        out: Tensor = network(inputs._replace(t=timed(inputs.t)), cache)
        return out

    def state(frames: int) -> SolverState:
        x, _, mask, mu, _, speaker, prompt = drawn(frames)
        return begin(x, mask, mu, speaker, prompt, solver=solver)

    first, second = state(12), state(7)
    for _ in range(2):
        step(velocity, [first])
    for _ in range(2):
        step(velocity, [first, second])
    assert first.done and second.step == 2
    solve(velocity, second)

    torch.testing.assert_close(first.x, solve(velocity, state(12)), atol=1e-5, rtol=0)
    torch.testing.assert_close(second.x, solve(velocity, state(7)), atol=1e-5, rtol=0)


def test_the_noise_is_upstreams() -> None:
    """Drawn from seed 0 at full length, whatever the global random numbers are."""
    torch.manual_seed(0)
    noise = torch.randn(1, 80, NOISE_FRAMES)
    torch.manual_seed(1)

    assert torch.equal(fixed_noise(), noise)
