"""Solvers with fewer and unequal steps: how near each comes to the converged mel, and what it saves.

The published models take ten Euler steps, all of them guided. Fewer steps, steps of second order and steps
without guidance cost less and give another mel. How far it is from the mel of very many steps says whether it
lost anything: one that is no farther than the model's own ten steps is as close to what the model was taught.

Source: unequal steps as in F5-TTS (arXiv:2505.19931), guidance on an interval (arXiv:2404.07724), the
two-step method of Adams and Bashforth.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.contract import Part
from cosyrt.accel.registry import accelerated
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.timing import Speedup, TimingConfig, interleaved, timed
from cosyrt.lab.workload import SENTENCES, Workload, WorkloadUtterance, settle
from cosyrt.models.flow import SolverConfig
from cosyrt.models.solver import Solver, euler

CONVERGED_STEPS = 100
FEWEST_TO_GAIN = 3  # a model that was taught fewer steps has nothing to gain
STEPS = (8, 6, 5, 4)
# Name of a kind of steps: the power that the argument of the cosine schedule is raised to (above 1 the first
# steps are smaller), the order, and the time up to which steps have guidance.
KINDS: dict[str, tuple[float, Literal[1, 2], float]] = {
    "": (1.0, 1, 1.0),
    "early": (1.5, 1, 1.0),
    "second order": (1.0, 2, 1.0),
    "guided to 0.5": (1.0, 1, 0.5),
    "second order, guided to 0.5": (1.0, 2, 0.5),
}
CLOSE = 0.25  # of the distance between two seeds
OTHER_SEED = 1
SPOKEN_TOKENS = 75  # of each utterance that is judged
DECIBELS = 20 / np.log(10)  # of a mel, whose values are natural logarithms of amplitudes
SHIPPED, SHIPPED_AGAIN = "shipped", "shipped again"

Closeness = Literal["as close", "close", "audible"]
CLOSENESS: tuple[Closeness, ...] = get_args(Closeness)


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverTrial:
    """One solver, how far its mel is from the converged one, and how fast it is beside the model's own."""

    name: str
    solver: Solver
    distance_db: float
    closeness: Closeness
    flow: Speedup | None = None  # tokens to mel; None: not timed, another that is as good costs less
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximations:
    """All solvers that were tried on one model, and the yardsticks that they were judged by."""

    shipped_db: float  # from the model's own steps to the converged mel
    seeds_db: float  # between two converged mels from different noise
    trials: list[SolverTrial]
    floor: float = 1.0  # speed-up that the A/A run makes a claim
    why: str = ""  # there are none

    def best(self, allowed: Closeness) -> SolverTrial | None:
        """Choose the fastest solver that is at least as close as allowed, and faster beyond the noise."""
        near = CLOSENESS[: CLOSENESS.index(allowed) + 1]
        faster = [
            (trial.flow.median, trial)
            for trial in self.trials
            if trial.closeness in near and trial.flow is not None and trial.flow.low > self.floor
        ]
        return max(faster, key=lambda pair: pair[0])[1] if faster else None


def candidates(config: SolverConfig) -> dict[str, Solver]:
    """Make all solvers that cost less than the model's own, by name; the cheapest come last."""
    found: dict[str, Solver] = {}
    for steps, (kind, (power, order, until)) in product(STEPS, KINDS.items()):
        if until < 1 and not config.guidance:
            continue
        times = spaced(steps, power)
        guidance = tuple(config.guidance if at < until else 0.0 for at in times[:-1])
        solver = Solver(times=times, guidance=guidance, order=order)
        if solver.rows < config.solver.rows:
            found[f"{steps} steps, {kind}" if kind else f"{steps} steps"] = solver
    return dict(sorted(found.items(), key=lambda item: -item[1].rows))


def spaced(steps: int, power: float) -> tuple[float, ...]:  # steps + 1
    """Times of the cosine schedule, the first steps made smaller by a power above 1."""
    places = torch.linspace(0, 1, steps + 1) ** power
    return tuple((1 - torch.cos(places * 0.5 * torch.pi)).tolist())


def approximations(
    folder: str,
    device: str | None,
    parts: dict[Part, str],
    seconds: float,
    threads: int,
) -> Approximations:
    """Judge all solvers on a model that runs by these parts, then time those that may win.

    About half of the seconds go into either.
    """
    torch.set_num_threads(threads)
    model = Model.open(folder, device)
    config = model.settings.flow
    if config.steps < FEWEST_TO_GAIN:
        taught = "one step" if config.steps == 1 else f"{config.steps} steps"
        why = f"the model was taught to take {taught}: there is nothing to gain"
        return Approximations(shipped_db=0.0, seeds_db=0.0, trials=[], why=why)
    stages = accelerated(parts)(model) if parts else model.plain
    judge = Judge(model, stages, seconds / 2)
    trials = [judge.trial(name, solver) for name, solver in candidates(config).items()]
    floor, flows = timings(judge, worth_timing(trials), seconds / 2)
    return Approximations(
        shipped_db=judge.shipped_db,
        seeds_db=judge.seeds_db,
        trials=[told(trial, flows.get(trial.name)) for trial in trials],
        floor=floor,
    )


class Judge:
    """Holds the converged mels of a few utterances, and tells how far those of a solver are from them."""

    def __init__(self, model: Model, stages: Stages, seconds: float) -> None:
        self.model, self.stages = model, stages
        own = model.settings.flow.solver
        self.utterances: list[WorkloadUtterance] = []
        self.converged: list[Tensor] = []
        self.seeds, self.shipped = list[float](), list[float]()
        converged = converged_solver(model.settings.flow)
        begin, each_s = time.monotonic(), 0.0
        for utterance in utterances_of(model):
            if self.utterances and time.monotonic() - begin + each_s > seconds:
                break
            started = time.monotonic()
            mel = self.mel(utterance, converged)
            self.utterances.append(utterance)
            self.converged.append(mel)
            self.seeds.append(decibels(self.mel(utterance, converged, OTHER_SEED), mel))
            self.shipped.append(decibels(self.mel(utterance, own), mel))
            each_s = (time.monotonic() - started) * (1 + self.cost_of_candidates())

    def cost_of_candidates(self) -> float:
        """Rows of the velocity that all candidates take, in units of what the yardsticks take."""
        config = self.model.settings.flow
        yardsticks = 2 * converged_solver(config).rows + config.solver.rows
        return sum(solver.rows for solver in candidates(config).values()) / yardsticks

    @property
    def shipped_db(self) -> float:
        """Distance of the model's own steps from the converged mel."""
        return float(np.mean(self.shipped))

    @property
    def seeds_db(self) -> float:
        """Distance of two converged mels that start from different noise."""
        return float(np.mean(self.seeds))

    def mel(
        self, utterance: WorkloadUtterance, solver: Solver, seed: int | None = None
    ) -> Tensor:  # [1, 80, M]
        """Mel of an utterance by a solver, from the model's own noise or that of a seed."""
        settings = self.model.settings
        config = replace(settings.flow, approximation=solver)
        condition = Condition.of(utterance.voice, self.stages, self.model.device)
        stream = settings.mel_stream(self.stages, config, condition, chunked=False)
        if seed is not None:
            drawn = torch.randn(stream.noise.shape, generator=torch.Generator().manual_seed(seed))
            stream.noise = config.temperature * drawn.to(stream.noise)
        return stream.until(utterance.speech, None)

    def trial(self, name: str, solver: Solver) -> SolverTrial:
        """Judge a solver by all utterances."""
        pairs = zip(self.utterances, self.converged, strict=True)
        distance = float(np.mean([decibels(self.mel(utterance, solver), mel) for utterance, mel in pairs]))
        return SolverTrial(
            name=name,
            solver=solver,
            distance_db=distance,
            closeness=closeness(distance, self.shipped_db, self.seeds_db),
        )


def converged_solver(config: SolverConfig) -> Solver:
    """The steps whose mel stands for the exact solution."""
    return euler(CONVERGED_STEPS, config.guidance)


def utterances_of(model: Model) -> Iterator[WorkloadUtterance]:
    """Utterances to judge by: sentences of both languages, spoken by the model itself in several voices."""
    workload = Workload(model)
    voices = list(workload.pipeline.voices.values()) or [workload.voice(75), workload.voice(50)]
    for number in range(max(len(SENTENCES), len(voices))):
        spoken = workload.spoken(number, SPOKEN_TOKENS)
        yield replace(spoken, voice=voices[number % len(voices)], chunked=False)


def decibels(
    mel: Tensor,  # [1, 80, M]
    other: Tensor,  # [1, 80, M]
) -> float:
    """Root mean square of the difference of two mels, in decibels."""
    return float(DECIBELS * (mel - other).float().square().mean().sqrt())


def closeness(distance: float, shipped: float, seeds: float) -> Closeness:
    """Name a distance: no farther than the model's own steps, small beside that of two seeds, or neither."""
    if distance <= shipped:
        return "as close"
    return "close" if distance <= CLOSE * seeds else "audible"


def worth_timing(trials: list[SolverTrial]) -> list[SolverTrial]:
    """Choose the cheapest of each closeness: they alone may win."""
    best: dict[Closeness, SolverTrial] = {}
    for trial in trials:
        known = best.get(trial.closeness)
        if known is None or (trial.solver.rows, trial.distance_db) < (known.solver.rows, known.distance_db):
            best[trial.closeness] = trial
    return list(best.values())


def timings(
    judge: Judge, trials: list[SolverTrial], seconds: float
) -> tuple[float, dict[str, Speedup]]:  # the floor, and speed-ups by name
    """Time tokens to mel by the model's own steps, by them again (A/A), and by each solver, in turn."""
    own = judge.model.settings.flow.solver
    solvers = {SHIPPED: own, SHIPPED_AGAIN: own} | {trial.name: trial.solver for trial in trials}

    def run(solver: Solver, case: int) -> None:
        judge.mel(judge.utterances[case], solver)

    settled = partial(settle, judge.model.device)
    runs = {name: timed(partial(run, solver), settle=settled) for name, solver in solvers.items()}
    config = TimingConfig(early_passes=1, budget_s=seconds)
    found = interleaved(runs, range(len(judge.utterances)), config)
    floor = found.speedup(SHIPPED_AGAIN, SHIPPED).floor
    return floor, {trial.name: found.speedup(trial.name, SHIPPED) for trial in trials}


def told(trial: SolverTrial, flow: Speedup | None) -> SolverTrial:
    """Add what was measured, or why nothing was."""
    return replace(trial, flow=flow, why="" if flow else "another that is as close costs less")
