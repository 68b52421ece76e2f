"""cosyrt tune: try every acceleration on this machine, keep what is right and faster, explain the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import ShowProgress, progress_bar, table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.accel.plan import Plan
    from cosyrt.lab.approximate import Approximations, Closeness
    from cosyrt.lab.chunked import ChunkedTrial
    from cosyrt.lab.trial import TrialResult
    from cosyrt.lab.tune import TuneProgress, TuneReport

SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600}
PRECISION_CLASSES = ("exact", "half", "quantised")
APPROXIMATE, CHUNKED = "approximate", "chunked"
APPROXIMATIONS = (APPROXIMATE, f"{APPROXIMATE}:close", f"{APPROXIMATE}:audible")
SOLVER_COLUMNS = ("steps of the solver", "calls", "distance", "closeness", "flow", "why")
TUNE_COLUMNS = (
    "part",
    "candidate",
    "predicted",
    "measured",
    "first seen",
    "memory",
    "parity",
    "verdict",
    "why",
)


@click.command()
@click.argument("model", required=False)
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …  [default: the best there is]")
@click.option(
    "--budget",
    metavar="TIME",
    help="About how long: 90s, 5m, 1h.  [default: what this machine needs, which is said before]",
)
@click.option(
    "--allow",
    metavar="CLASSES",
    default=",".join(PRECISION_CLASSES),
    show_default=True,
    help="Which precision may be used, by commas; approximate, or approximate:audible, lets the solver take "
    "other steps, too; chunked lets whole speech be made as it is streamed, with the voice's prompt kept.",
)
@click.option(
    "--listen",
    metavar="DIR",
    type=UserPath(),
    help="Write pairs of recordings, with and without the approximation that won, to be told apart by ear.",
)
@click.option(
    "--streams",
    metavar="N",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Make a second plan, for so many utterances at once; a service that speaks as many uses it.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object instead of a table; one a line for each plan.",
)
@verbose_option
def tune(
    model: str | None,
    device: str | None,
    budget: str | None,
    allow: str,
    listen: Path | None,
    streams: int,
    as_json: bool,
) -> None:
    """Find the fastest correct way to run MODEL on this machine.

    Every acceleration that this machine, the model and the time allow is built, compared with the plain
    model, and timed beside it. The best ones make a plan, which every later `cosyrt` uses for this model;
    Ctrl-C keeps the plan that was there before. A trial that is over is not made again: the next `tune` goes
    on from there. Without MODEL it is the built-in voice.

    \b
    cosyrt tune ./CosyVoice2-0.5B --budget 10m
    cosyrt tune --allow exact
    cosyrt tune --streams 8
    cosyrt tune ./CosyVoice2-0.5B --allow exact,half,approximate --listen pairs
    """
    from cosyrt.lab import tune as tuning

    seconds = None if budget is None else _seconds(budget)
    classes, closeness = _classes(allow), _closeness(allow)
    if listen is not None and closeness is None:
        raise UsageError("--listen needs an approximation to listen to; add --allow exact,half,approximate")
    if listen is not None:
        from cosyrt.lab.listen import check_pairs_folder

        check_pairs_folder(listen)
    numbers = sorted({1, streams})
    for number in numbers:
        with progress_bar(hidden=as_json) as show:
            report = tuning.tune(
                model,
                device=device,
                budget_s=None if seconds is None else seconds / len(numbers),
                allow=classes,
                approximate=closeness,
                chunked=CHUNKED in _names(allow),
                streams=number,
                progress=_shown_by(show, quiet=as_json),
            )
        if listen is not None and report.plan.solver is not None and number == 1:
            from cosyrt.lab.listen import write_pairs

            write_pairs(model, device, report.plan.solver.solver, listen)
        if as_json:
            click.echo(json.dumps(_as_json(report, number), ensure_ascii=False))
        else:
            if number > 1:
                click.echo(f"\n{number} utterances at once:\n")
            _print(report)


def _shown_by(show: ShowProgress, *, quiet: bool) -> Callable[[TuneProgress], None]:
    """Show progress and, unless `quiet`, say once before the first trial how long this machine needs."""
    said = quiet

    def shown(at: TuneProgress) -> None:
        nonlocal said
        if at.needs_s is not None and not said:
            said = True
            enough = "" if at.budget_s >= at.needs_s else f"; in {_minutes(at.budget_s)} not all is tried"
            click.echo(
                f"cosyrt: this machine needs about {_minutes(at.needs_s)} for this model{enough}", err=True
            )
        show(at.doing, min(1.0, at.spent_s / at.budget_s))

    return shown


def _minutes(seconds: float) -> str:
    """`40 s`, `12 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _seconds(budget: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", budget.strip())
    if match is None or not float(match[1]):
        raise UsageError(f"the budget {budget!r} is no time; give it like 90s, 5m or 1h")
    return float(match[1]) * SECONDS_OF_UNIT[match[2] or "s"]


def _classes(allow: str) -> tuple[Any, ...]:
    asked = [name for name in _names(allow) if not name.startswith(APPROXIMATE) and name != CHUNKED]
    if unknown := [name for name in asked if name not in PRECISION_CLASSES]:
        raise UsageError(
            f"no class of precision {unknown[0]!r}; give {', '.join(PRECISION_CLASSES)}, or some of them, "
            f"{APPROXIMATE} if the solver may take other steps, and {CHUNKED} if whole speech may be made so"
        )
    if not asked:
        return ("exact",)
    return tuple(name for name in PRECISION_CLASSES if name in asked)


def _closeness(allow: str) -> Closeness | None:
    """How close an approximation must be to win; None where none was allowed."""
    from cosyrt.lab.approximate import CLOSENESS

    asked = [name for name in _names(allow) if name.startswith(APPROXIMATE)]
    if not asked:
        return None
    _, _, least = asked[-1].partition(":")
    for known in CLOSENESS:
        if least.replace("-", " ") == known or (not least and known == "as close"):
            return known
    raise UsageError(f"no approximation {asked[-1]!r}; give {', '.join(APPROXIMATIONS)}")


def _names(allow: str) -> list[str]:
    return [name.strip() for name in allow.split(",")]


def _as_json(report: TuneReport, streams: int) -> dict[str, Any]:
    return {
        "streams": streams,
        "shares": {part: round(report.shares.share(part), 4) for part in report.shares.seconds},
        "rows": [asdict(row) for row in report.rows],
        "whole": None if report.whole is None else asdict(report.whole),
        "plan": asdict(report.plan),
        "file": str(report.path),
        "approximations": None if report.approximations is None else asdict(report.approximations),
        "chunked": None if report.chunked is None else asdict(report.chunked),
    }


def _print(report: TuneReport) -> None:
    work = ", ".join(f"{part} {report.shares.share(part):.0%}" for part in report.shares.seconds)
    click.echo(f"Shares of the work when nothing is accelerated: {work}.\n")
    rows = sorted(report.rows, key=lambda row: (row.part, -row.gain))
    cells = [_cells(row) for row in (rows if report.whole is None else [*rows, report.whole])]
    click.echo(table(TUNE_COLUMNS, cells, wrapped=True))
    if report.approximations is not None:
        click.echo("\n" + _approximations(report.approximations, report.plan))
    if report.chunked is not None:
        click.echo("\n" + _in_chunks(report.chunked))
    click.echo("\n" + _summary(report))


def _approximations(tried: Approximations, plan: Plan) -> str:
    if tried.why:
        return f"No approximation: {tried.why}."
    chosen = plan.solver and plan.solver.name
    cells = [
        (
            trial.name,
            str(trial.solver.rows),
            f"{trial.distance_db:.2f} dB",
            trial.closeness,
            "" if trial.flow is None else str(trial.flow),
            "chosen" if trial.name == chosen else trial.why,
        )
        for trial in sorted(tried.trials, key=lambda trial: trial.distance_db)
    ]
    yardsticks = (
        f"From the converged mel, the model's own steps are {tried.shipped_db:.2f} dB away, and another seed "
        f"{tried.seeds_db:.2f} dB."
    )
    return yardsticks + "\n\n" + table(SOLVER_COLUMNS, cells, wrapped=True)


def _in_chunks(tried: ChunkedTrial) -> str:
    if tried.flow is None:
        return f"Whole speech is not made in chunks: {tried.why}."
    verdict = "chosen" if tried.wins else "within the noise"
    return (
        "Whole speech in chunks, as it is streamed, with the prompt of a known voice kept: "
        f"the flow is {tried.flow} times as fast, its mel {tried.distance_db:.2f} dB from that of the whole "
        f"piece: {verdict}."
    )


def _cells(row: TrialResult) -> tuple[str, ...]:
    timed, parity = row.timed, row.parity
    return (
        row.part,
        row.candidate if row.part != "whole" else "the plan",
        f"{row.predicted:.2f}×",
        "" if timed is None else str(timed.speedup),
        "" if timed is None else f"+{timed.first_seen_s:.2f} s",
        "" if not row.peak_bytes else f"{row.peak_bytes / 1e9:.1f} GB",
        "" if parity is None else "passed" if parity.passed else "failed",
        row.verdict,
        row.why,
    )


def _summary(report: TuneReport) -> str:
    plan = report.plan
    solver = (
        "" if plan.solver is None else f" The flow takes {plan.solver.name}: {plan.solver.speedup:.2f} times."
    )
    if not plan.parts:
        return f"Nothing is faster than the plain way, which runs from now on.{solver} {report.path}"
    ways = ", ".join(f"{part} by {planned.backend}" for part, planned in plan.parts.items())
    return f"{plan.speedup:.2f} times as fast as the plain way: {ways}.{solver} The plan: {report.path}"
