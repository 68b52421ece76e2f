"""What the service holds: load, faults, kills, bad input, strangers; tried on running services, and counted.

    python -m benchmarks.scorecard                 every score in its fast form: seconds each
    python -m benchmarks.scorecard S5 --full       one score in its full form: minutes
    python -m benchmarks.scorecard --full --page   the table of docs/reliability.md

A score that found what should not be is printed with it, and the exit code is 1. Nothing outside of a
temporary folder is touched, and no port but free ones of this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.report import machine, write_json
from benchmarks.scores import (
    bad_input,
    draining,
    leaving,
    load_held,
    loading,
    neighbours,
    nothing_lost,
    only_numbers,
    page,
    strangers,
    streams_held,
    survival,
)
from benchmarks.scores.lives import Lives
from benchmarks.scores.score import Score

MODULES = (
    streams_held,
    load_held,
    survival,
    nothing_lost,
    bad_input,
    strangers,
    leaving,
    draining,
    neighbours,
    only_numbers,
    loading,
)
SCORES: dict[str, ModuleType] = {module.NAME: module for module in MODULES}


def run(lives: Lives, names: Sequence[str], *, full: bool, tell: Any) -> list[Score]:
    """Run scores one after another; after Ctrl-C those that are complete are returned."""
    found: list[Score] = []
    for name in names:
        module, began = SCORES[name], time.monotonic()
        try:
            score: Score = module.score(lives, module.FULL if full else module.FAST, tell)
        except KeyboardInterrupt:
            tell(f"{name} was interrupted; what is complete is kept")
            break
        score.seconds = time.monotonic() - began
        found.append(score)
    return found


def shown(score: Score) -> str:
    """One score as lines for people."""
    lines = [f"{score.name}  {score.title}  ({score.seconds:.1f} s)", *score.figures]
    return "\n    ".join(lines + [f"SURPRISE: {each}" for each in score.surprises])


def progress(line: str) -> None:
    """Show where a score is, in place of what was shown before, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code is 1 if anything was found that should not be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", nargs="*", metavar="S", help=f"of {', '.join(SCORES)}; all of them")
    parser.add_argument("--full", action="store_true", help="minutes each, not seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and surprises to a file")
    parser.add_argument("--page", action="store_true", help="put the table into docs/reliability.md")
    given = parser.parse_args(arguments)
    if unknown := set(given.scores) - set(SCORES):
        parser.error(f"there is no score {min(unknown)}; choose of {', '.join(SCORES)}")
    with tempfile.TemporaryDirectory(prefix="cosyrt-scorecard-") as folder:
        lives = Lives(Path(folder))
        try:
            found = run(lives, given.scores or list(SCORES), full=given.full, tell=progress)
        finally:
            lives.close()
    progress("")
    print("\n\n".join(map(shown, found)))
    if given.json:
        write_json(given.json, full=given.full, scores=[asdict(each) for each in found])
    if given.page:
        page.write(found, _when(full=given.full))
    return int(any(each.surprises for each in found))


def _when(*, full: bool) -> str:
    """When and where a score was run."""
    here = machine()
    form = "full" if full else "fast"
    return f"{time.strftime('%Y-%m-%d')}, {form}, {here['cores']} cores of {here['cpu']}"


if __name__ == "__main__":
    sys.exit(main())
