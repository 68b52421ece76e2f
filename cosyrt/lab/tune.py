"""Find out what is fastest here: try every candidate for every part, compose the best, try the whole.

Each candidate has a process of its own with a time limit and a memory limit. It must be right before it is
timed (`parity.py`), and what is faster than eager by less than eager differs from itself is not faster
(`timing.py`). The plan as a whole is held against eager once more, and must win.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

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
from cosyrt.lab.parity import ORDER
from cosyrt.lab.trial import (
    LEAST_PASSES,
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
from cosyrt.lab.workload import TIMED_LENGTHS
from cosyrt.machine.memory import ram

WHOLE_SHARE = 0.25  # of the budget is kept for the plan as a whole
TIMING_SHARE = 0.5  # of a candidate's time; the rest goes into loading, building and verifying
PATIENCE, LEAST_PATIENCE_S = 4, 90.0  # times its share of the budget that a candidate may take, and at least
PATIENCE_SHARE = 0.5  # of the budget: that least is no more
MEMORY_SHARE = 0.9  # of what is free may be taken by one candidate
LEAST_LENGTHS = 3  # that a candidate is timed on; one that cannot be is not tried
NO_TIME = "there was no time left for it; give a larger --budget"
RUNS_PER_VISIT = 3  # eager, eager again, the candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """All results of a tuning."""

    shares: Shares
    rows: list[TrialResult]  # of single parts
    whole: TrialResult | None  # the plan as a whole; None where no part was chosen
    plan: Plan
    path: Path
    approximations: Approximations | None = None  # of the solver; None where they were not allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneProgress:
    """How far a tuning has come."""

    doing: str
    spent_s: float
    budget_s: float


def tune(
    folder: str | Path | None = None,
    *,
    device: str | None = None,
    budget_s: float = 300.0,
    allow: tuple[Precision, ...] = ORDER,
    approximate: Closeness | None = None,
    progress: Callable[[TuneProgress], object] = lambda progress: None,
) -> TuneReport:
    """Measure, choose, and write the plan that `cosyrt.load` uses from then on.

    `budget_s` is about what it takes; interrupted, it leaves the plan that was there before. `approximate`
    lets a solver with fewer steps win, if its mel is at least that close to the converged one. Trials run in
    processes of their own: a script calls this under `if __name__ == "__main__":`.

    Raises:
        ModelError: the folder cannot be used.
        UsageError: no such device, no place for the plan, or a budget too small for anything.
        SpeechError: eager itself failed. OSError: the plan cannot be written in the end.
    """
    return Tuning(folder, device, budget_s, allow, approximate, progress).run()


class Tuning:
    """One run of `tune`, with its budget."""

    def __init__(
        self,
        folder: str | Path | None,
        device: str | None,
        budget_s: float,
        allow: tuple[Precision, ...],
        approximate: Closeness | None,
        progress: Callable[[TuneProgress], object],
    ) -> None:
        self.opened = ModelFolder.open(BUILTIN if folder is None else folder)
        self.device, self.budget_s, self.allow, self.progress = device, budget_s, allow, progress
        self.approximate = approximate
        self.begin = time.monotonic()
        self.memory = free_bytes()

    def run(self) -> TuneReport:
        """Measure eager, try the candidates, then the plan as a whole; write the plan."""
        check_plans_folder()
        self.announce("the plain way")
        shared = self.plain_shares()
        device = torch.device(shared.device)
        rows = list(self.rows(shared, device))
        self.check_tried(rows)
        best = {part: row for part in PARTS if (row := best_of(rows, part)) is not None}
        whole = self.whole(best, shared) if best else None
        wins = whole is not None and whole.verdict == "chosen"
        rows = [with_rank(row, best, wins) for row in rows]
        parts = {part: as_planned(row) for part, row in best.items()} if wins else {}
        tried = self.approximations(parts, shared)
        plan = Plan(
            made_for=made_for(self.opened, device),
            parts=parts,
            speedup=whole.timed.speedup.median if wins and whole and whole.timed else 1.0,
            made=datetime.now().isoformat(timespec="seconds"),
            solver=self.solver(tried),
        )
        path = plan_path(self.opened, device)
        plan.write(path)
        self.announce("done")
        return TuneReport(shares=shared, rows=rows, whole=whole, plan=plan, path=path, approximations=tried)

    def approximations(self, parts: dict[Part, Planned], shared: Shares) -> Approximations | None:
        """Try other solvers with the parts that were chosen, if that is allowed."""
        if self.approximate is None:
            return None
        self.announce("approximations of the solver")
        seconds = max(self.left(), WHOLE_SHARE * self.budget_s)
        names = {part: planned.backend for part, planned in parts.items()}
        path, threads = str(self.opened.path), torch.get_num_threads()
        outcome = self.child(approximations, path, shared.device, names, seconds, threads, seconds=seconds)
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
        outcome = self.child(
            shares, str(self.opened.path), self.device, torch.get_num_threads(), seconds=self.budget_s
        )
        if outcome.failure is not None:
            raise outcome.error or SpeechError(f"the model cannot be measured: {outcome.failure}")
        found: Shares = outcome.value
        return found

    def rows(self, shared: Shares, device: torch.device) -> Iterator[TrialResult]:
        """Try every candidate while there is time; next is what promises most beyond what was found."""
        pairs = [(part, backend) for backend in BACKENDS.values() for part in backend.parts]
        named = {(p, b.name): self.row(p, b, shared, device) for p, b in pairs}
        waiting = [key for key, row in named.items() if not row.why]
        while waiting:
            promises = {key: promise(named[key], list(named.values()), shared) for key in waiting}
            part, name = key = max(waiting, key=lambda key: promises[key])
            self.announce(f"{name} for {part}")
            promising = max(1, sum(more > 0 for more in promises.values()))
            seconds = (self.left() - WHOLE_SHARE * self.budget_s) / promising
            named[key] = self.tried(named[key], {part: name}, shared, seconds)
            waiting.remove(key)
        yield from named.values()

    def check_tried(self, rows: list[TrialResult]) -> None:
        """Refuse to replace the old plan where there was time for no candidate at all.

        Raises:
            UsageError: no candidate was tried.
        """
        waiting = any(row.why == NO_TIME for row in rows)
        if waiting and all(row.verdict in ("absent", "not tried") for row in rows):
            raise UsageError(
                f"{self.budget_s:.0f} s are too short to try anything here, the plan stays as it was; "
                "give a larger --budget"
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
        return replace(row, why=too_small(share))

    def tried(self, row: TrialResult, parts: dict[Part, str], shared: Shares, seconds: float) -> TrialResult:
        """Put a candidate on trial, and add the result to its row."""
        whole = row.part == WHOLE
        share = 1.0 if whole else sum(map(shared.share, parts))
        visit_s = RUNS_PER_VISIT * share * shared.pass_s  # one length, each once
        each_s = (1 + LEAST_PASSES) * visit_s / TIMING_SHARE  # for one length, verifying included
        least = LEAST_LENGTHS * each_s
        if not whole and least > max(seconds, self.left() - WHOLE_SHARE * self.budget_s):
            return replace(row, why=NO_TIME)
        seconds = max(seconds, least)
        job = Job(
            folder=str(self.opened.path),
            device=shared.device,
            parts=parts,
            seconds=TIMING_SHARE * seconds,
            lengths=min(round(seconds / each_s), len(TIMED_LENGTHS)),
            threads=torch.get_num_threads(),
            whole=whole,
        )
        kept = whole or BACKENDS[row.candidate].kept  # of the whole, each part has earned its own
        facts: dict[str, Any] = judged(self.child(run_trial, job, seconds=seconds), kept=kept)
        return replace(row, **facts)

    def whole(self, best: dict[Part, TrialResult], shared: Shares) -> TrialResult:
        """Put all chosen parts together on trial: right and faster by more than the noise, or dropped."""
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
        row = self.tried(row, parts, shared, max(self.left(), WHOLE_SHARE * self.budget_s))
        return replace(row, verdict="chosen") if row.verdict == "faster" else row

    def child(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Outcome:
        """Call a function in a process of its own, with limits on time and memory."""
        patience = max(min(LEAST_PATIENCE_S, PATIENCE_SHARE * self.budget_s), PATIENCE * seconds)
        patience = min(patience, max(0.0, self.left()) + LEAST_PATIENCE_S)
        return call_in_child(function, *arguments, timeout_s=patience, memory_bytes=self.memory)

    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget_s - (time.monotonic() - self.begin)

    def announce(self, doing: str) -> None:
        """Report what is being done next."""
        spent_s = time.monotonic() - self.begin
        self.progress(TuneProgress(doing=doing, spent_s=spent_s, budget_s=self.budget_s))


def promise(row: TrialResult, rows: list[TrialResult], shared: Shares) -> float:
    """Share of an utterance's time that a candidate should save, by the book, beyond the best so far."""
    part = cast(Part, row.part)
    found = max(
        (1 - 1 / each.gain for each in rows if each.part == part and each.verdict == "faster"), default=0.0
    )
    return 1 - 1 / row.predicted - shared.share(part) * found


def best_of(rows: list[TrialResult], part: Part) -> TrialResult | None:
    """Choose the candidate that makes a part cheapest; of two within the noise, the more exact."""
    faster = [row for row in rows if row.part == part and row.verdict == "faster"]
    if not faster:
        return None
    top = max(faster, key=lambda row: row.gain)
    assert top.timed is not None
    near = [row for row in faster if row.gain * top.timed.floor >= top.gain]
    return min(near, key=lambda row: (ORDER.index(row.precision), -row.gain))


def with_rank(row: TrialResult, best: dict[Part, TrialResult], wins: bool) -> TrialResult:
    """Mark a faster candidate as chosen, or say why it is not."""
    if row.verdict != "faster":
        return row
    first = next(one for part, one in best.items() if part == row.part)
    if first.candidate != row.candidate:
        reason = "as fast and more exact" if first.gain <= row.gain else "faster still"
        return replace(row, why=f"{first.candidate} is {reason}")
    return replace(row, verdict="chosen") if wins else replace(row, why="the plan as a whole did not win")


def as_planned(row: TrialResult) -> Planned:
    """Reduce a row to what the plan keeps."""
    return Planned(backend=row.candidate, speedup=row.gain, calls=row.calls or {})


def free_bytes() -> int:
    """Memory in bytes that one candidate may take."""
    return int(MEMORY_SHARE * ram().available)
