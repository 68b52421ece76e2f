"""Find out what is fastest here: try every candidate for every part, compose the best, try the whole.

Each candidate has a process of its own with a time limit and a memory limit. It must be right before it is
timed (`parity.py`), and what is faster than eager by less than eager differs from itself is not faster
(`timing.py`). Several parts are held against eager once more as a whole; where they do not win together, or
there is no time for that, the part that saves most is the plan: it has proven itself alone. How long a trial
takes here is estimated before it is begun (`trial_costs.py`), and what was found is kept for the next tuning
(`kept_trials.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from cosyrt.accel.contract import PARTS, Backend, Part, Precision
from cosyrt.accel.plan import Plan, Planned, PlannedSolver, check_plans_folder, made_for, plan_path
from cosyrt.accel.registry import BACKENDS
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import BUILTIN
from cosyrt.errors import SpeechError, UsageError
from cosyrt.families import FAMILIES
from cosyrt.lab.approximate import Approximations, Closeness, approximations
from cosyrt.lab.child import Outcome, call_in_child
from cosyrt.lab.choice import best_of, found_parts, promise, proven_parts, speedup_of, with_rank
from cosyrt.lab.chunked import ChunkedTrial, chunked_trial
from cosyrt.lab.kept_trials import KeptTrials
from cosyrt.lab.parity import ORDER
from cosyrt.lab.trial import (
    WHOLE,
    Job,
    Shares,
    TrialResult,
    amdahl,
    judged,
    run_trial,
    shares,
    too_small,
)
from cosyrt.lab.trial_costs import TrialCosts, cheapest_first
from cosyrt.machine.memory import ram

APPROXIMATIONS_SHARE = 0.25  # of the budget is kept for other solvers, where they are allowed
CHUNKED_SHARE = 0.1  # of the budget, for speech in chunks
PATIENCE, LEAST_PATIENCE_S = 4, 90.0  # times its estimate that a trial may take, and at least
OVERRUN = 1.5  # times their seconds that solvers and chunks may take: nothing after them is set aside
MEMORY_SHARE = 0.9  # of what is free may be taken by one candidate
USUAL_BUDGET_S = 300.0  # where none is given; more if the machine needs more
NO_TIME = "there was no time left for it; give a larger --budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """All results of a tuning."""

    shares: Shares
    rows: list[TrialResult]  # of single parts
    whole: TrialResult | None  # the plan as a whole; None where no part was chosen
    plan: Plan
    path: Path
    approximations: Approximations | None = None  # of the solver; None where they were not allowed
    chunked: ChunkedTrial | None = None  # whole speech in chunks; None where that was not allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneProgress:
    """How far a tuning has come."""

    doing: str
    spent_s: float
    budget_s: float
    needs_s: float | None = None  # what this machine needs to try everything; None: not yet known


def tune(
    folder: str | Path | None = None,
    *,
    device: str | None = None,
    budget_s: float | None = None,
    allow: tuple[Precision, ...] = ORDER,
    approximate: Closeness | None = None,
    chunked: bool = False,
    streams: int = 1,
    progress: Callable[[TuneProgress], object] = lambda progress: None,
) -> TuneReport:
    """Measure, choose, and write the plan that `cosyrt.load` uses from then on.

    `budget_s` is about what it takes; None: what this machine needs for this model, as the first progress
    says. Interrupted, it leaves the plan that was there before, and the next tuning goes on from the trials
    that were over. `approximate` lets a solver with fewer steps win, if its mel is at least that close to the
    converged one; `chunked` lets whole speech be made in chunks, as it is streamed. With `streams` the plan
    is for so many utterances at once, and every trial runs as many.
    Trials run in processes of their own: a script calls this under `if __name__ == "__main__":`.

    Raises:
        ModelError: the folder cannot be used.
        UsageError: no such device, no place for the plan, or a budget too small for anything.
        SpeechError: eager itself failed. OSError: the plan cannot be written in the end.
    """
    return Tuning(folder, device, budget_s, allow, approximate, chunked, streams, progress).run()


class Tuning:
    """One run of `tune`, with its budget."""

    def __init__(
        self,
        folder: str | Path | None,
        device: str | None,
        budget_s: float | None,
        allow: tuple[Precision, ...],
        approximate: Closeness | None,
        chunked: bool,
        streams: int,
        progress: Callable[[TuneProgress], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opened = ModelFolder.open(BUILTIN if folder is None else folder)
        self.device, self.allow, self.progress = device, allow, progress
        self.budget_s = USUAL_BUDGET_S if budget_s is None else budget_s
        self.is_given = budget_s is not None
        self.needs_s: float | None = None
        self.approximate, self.allows_chunks, self.streams = approximate, chunked, streams
        self.clock, self.begin = clock, clock()
        self.memory = free_bytes()

    def run(self) -> TuneReport:
        """Measure eager, try the candidates, then the plan as a whole; write the plan."""
        check_plans_folder()
        self.announce("the plain way")
        shared = self.plain_shares()
        self.costs, device = TrialCosts(shared), torch.device(shared.device)
        known = self.opened, device, self.streams
        path, needs = plan_path(*known), made_for(*known)
        self.kept = KeptTrials(path, needs)
        rows = list(self.rows(shared, device))
        self.check_tried(rows)
        best = {part: row for part in PARTS if (row := best_of(rows, part)) is not None}
        whole = self.whole(best, shared) if best else None
        proven = proven_parts(best, whole, shared)
        rows = [with_rank(row, best, proven) for row in rows]
        parts = {part: row.planned(self.streams) for part, row in proven.items()}
        tried = self.approximations(parts, shared)
        solver = self.solver(tried)
        chunked = self.chunked(parts, solver, shared) if self.allows_chunks else None
        plan = Plan(
            made_for=needs,
            parts=parts,
            speedup=speedup_of(proven, whole, shared),
            made=datetime.now().isoformat(timespec="seconds"),
            solver=solver,
            chunked=chunked is not None and chunked.wins,
            calls=(whole.calls or {}) if whole is not None and whole.verdict == "chosen" else {},
        )
        plan.write(path)
        self.announce("done")
        return TuneReport(
            shares=shared,
            rows=rows,
            whole=whole,
            plan=plan,
            path=path,
            approximations=tried,
            chunked=chunked,
        )

    def chunked(
        self, parts: dict[Part, Planned], solver: PlannedSolver | None, shared: Shares
    ) -> ChunkedTrial:
        """Try whole speech in chunks, with the parts and the solver that were chosen."""
        self.announce("speech in chunks")
        names = {part: planned.backend for part, planned in parts.items()}
        seconds = max(self.left(), CHUNKED_SHARE * self.budget_s)
        known = names, None if solver is None else solver.solver, seconds, torch.get_num_threads()
        path = str(self.opened.path)
        most = OVERRUN * seconds
        outcome = self.child(chunked_trial, path, shared.device, *known, seconds=seconds, most=most)
        if outcome.failure is not None:
            return ChunkedTrial(why=outcome.failure)
        found: ChunkedTrial = outcome.value
        return found

    def approximations(self, parts: dict[Part, Planned], shared: Shares) -> Approximations | None:
        """Try other solvers with the parts that were chosen, if that is allowed."""
        if self.approximate is None:
            return None
        self.announce("approximations of the solver")
        seconds = max(self.left(), APPROXIMATIONS_SHARE * self.budget_s)
        names = {part: planned.backend for part, planned in parts.items()}
        known = str(self.opened.path), shared.device, names, seconds, torch.get_num_threads()
        outcome = self.child(approximations, *known, seconds=seconds, most=OVERRUN * seconds)
        if outcome.failure is not None:
            return Approximations(shipped_db=0.0, seeds_db=0.0, trials=[], why=outcome.failure)
        found: Approximations = outcome.value
        return found

    def solver(self, tried: Approximations | None) -> PlannedSolver | None:
        """Choose the solver of the plan; None keeps the model's own."""
        best = None if tried is None or self.approximate is None else tried.best(self.approximate)
        if best is None or best.flow is None:
            return None
        return PlannedSolver(
            name=best.name,
            times=list(best.solver.times),
            guidance=list(best.solver.guidance),
            order=best.solver.order,
            closeness=best.closeness,
            distance_db=best.distance_db,
            speedup=best.flow.median,
        )

    def plain_shares(self) -> Shares:
        """Measure where the time of eager goes, in a process of its own.

        Raises:
            CosyrtError: the model or the device cannot be used.
        """
        path, threads = str(self.opened.path), torch.get_num_threads()
        outcome = self.child(shares, path, self.device, threads, self.streams, seconds=self.budget_s)
        if outcome.failure is not None:
            raise outcome.error or SpeechError(f"the model cannot be measured: {outcome.failure}")
        found: Shares = outcome.value
        return found

    def rows(self, shared: Shares, device: torch.device) -> Iterator[TrialResult]:
        """Try every candidate while there is time; next is what promises most beyond what was found."""
        pairs = [(part, backend) for backend in BACKENDS.values() for part in backend.parts]
        named = {(p, b.name): self.row(p, b, shared, device) for p, b in pairs}
        named = {key: row if row.why else self.kept.of(row) for key, row in named.items()}
        waiting = [key for key, row in named.items() if row.verdict == "not tried" and not row.why]
        self.plan_time(waiting)
        while waiting:
            promises = {key: promise(named[key], list(named.values()), shared) for key in waiting}
            part, name = key = max(waiting, key=lambda key: promises[key])
            self.announce(f"{name} for {part}")
            promising = max(1, sum(more > 0 for more in promises.values()))
            left = self.left() - self.reserve_s({part, *found_parts(named.values())})
            spare = max(0.0, left - sum(self.costs.least_s({part}) for part, _ in waiting))
            seconds = self.costs.least_s({part}) + spare / promising
            named[key] = self.tried(named[key], {part: name}, shared, seconds, left)
            self.kept.keep(named[key])
            waiting.remove(key)
        yield from named.values()

    def plan_time(self, waiting: list[tuple[Part, str]]) -> None:
        """Say how long this machine needs for all that is waiting; without a budget, take that long."""
        parts = {part for part, _ in waiting}
        trials_s = sum(self.costs.least_s({part}) + BACKENDS[name].start_s for part, name in waiting)
        self.needs_s = self.spent_s() + trials_s + self.reserve_s(parts)
        if not self.is_given:
            self.budget_s = max(self.budget_s, self.needs_s)
        self.announce("what promises most")

    def reserve_s(self, parts: set[Part]) -> float:
        """Seconds that are kept for what comes after single parts; one part alone needs no second trial."""
        whole = self.costs.least_s(parts, whole=True) if len(parts) > 1 else 0.0
        return whole + (0.0 if self.approximate is None else APPROXIMATIONS_SHARE * self.budget_s)

    def check_tried(self, rows: list[TrialResult]) -> None:
        """Refuse to replace the old plan where there was time for no candidate at all.

        Raises:
            UsageError: no candidate was tried.
        """
        waiting = any(row.why == NO_TIME for row in rows)
        if waiting and all(row.verdict in ("absent", "not tried") for row in rows):
            raise UsageError(
                f"{self.budget_s:.0f} s are too short to try anything here, the plan stays as it was; this "
                f"machine needs about {self.needs_s or 0:.0f} s for this model: give a larger --budget"
            )

    def row(self, part: Part, backend: Backend, shared: Shares, device: torch.device) -> TrialResult:
        """Judge a candidate before anything is built; one without a reason against it is to be tried."""
        share = shared.share(part)
        refusal = backend.refusal(part, FAMILIES[self.opened.family])
        there = backend.availability(device)
        row = TrialResult(
            part=part,
            candidate=backend.name,
            precision=backend.precision,
            verdict="not tried",
            why="",
            predicted=amdahl(share, backend.predicts(device)),
        )
        if refusal or not there.ok:
            return replace(row, verdict="absent", why=refusal or there.reason)
        if backend.precision not in self.allow:
            return replace(row, why=f"{backend.precision} weights were not allowed; see --allow")
        if backend.least_streams > self.streams:
            why = f"it gains by what is spoken at once; see --streams {backend.least_streams} and more"
            return replace(row, why=why)
        return replace(row, why=too_small(share))

    def tried(
        self, row: TrialResult, parts: dict[Part, str], shared: Shares, seconds: float, most: float
    ) -> TrialResult:
        """Put a candidate on trial for about so many seconds, and add the result to its row."""
        whole = row.part == WHOLE
        start_s = sum(BACKENDS[name].start_s for name in parts.values())
        least = start_s + self.costs.least_s(parts, whole=whole)
        if least > most:
            return replace(row, why=NO_TIME)
        seconds = max(seconds, least)
        job = Job(
            folder=str(self.opened.path),
            device=shared.device,
            parts=parts,
            seconds=self.costs.timing_s(parts, seconds - start_s),
            lengths=tuple(cheapest_first()[: self.costs.lengths(parts, seconds - start_s, whole=whole)]),
            threads=torch.get_num_threads(),
            whole=whole,
            streams=self.streams,
        )
        kept = whole or BACKENDS[row.candidate].kept  # of the whole, each part has earned its own
        facts: dict[str, Any] = judged(self.child(run_trial, job, seconds=seconds, most=most), kept=kept)
        return replace(row, **facts)

    def whole(self, best: dict[Part, TrialResult], shared: Shares) -> TrialResult:
        """Put all chosen parts together on trial: are they right, and faster by more than the noise?"""
        self.announce("the plan as a whole")
        saved = sum(shared.share(part) * (1 - 1 / row.gain) for part, row in best.items())
        row = TrialResult(
            part="whole",
            candidate=" ".join(f"{part}={row.candidate}" for part, row in best.items()),
            precision=max((row.precision for row in best.values()), key=ORDER.index),
            verdict="not tried",
            why="",
            predicted=1 / (1 - saved),
        )
        parts = {part: row.candidate for part, row in best.items()}
        row = self.tried(row, parts, shared, self.left(), self.left())
        return replace(row, verdict="chosen") if row.verdict == "faster" else row

    def child(
        self, function: Callable[..., Any], *arguments: Any, seconds: float, most: float | None = None
    ) -> Outcome:
        """Call a function in a process of its own, with limits on memory and time: `most`, if given."""
        patience = max(LEAST_PATIENCE_S, PATIENCE * seconds)
        if most is not None:
            patience = min(patience, max(seconds, most))
        return call_in_child(function, *arguments, timeout_s=patience, memory_bytes=self.memory)

    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget_s - self.spent_s()

    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.begin

    def announce(self, doing: str) -> None:
        """Report what is being done next."""
        self.progress(
            TuneProgress(doing=doing, spent_s=self.spent_s(), budget_s=self.budget_s, needs_s=self.needs_s)
        )


def free_bytes() -> int:
    """Memory in bytes that one candidate may take."""
    return int(MEMORY_SHARE * ram().available)
