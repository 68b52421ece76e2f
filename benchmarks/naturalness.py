"""Does the voice sound like a person? At each stage, against the teacher it learned from.

    python -m benchmarks.naturalness [--limit N] [--json FILE] [--model FOLDER]
    python -m benchmarks.naturalness FILE ...

DistillMOS and DNSMOS guess what listeners would say, from 1 (bad) to 5 (excellent). Neither hears what lies
above 8 kHz, neither knows what is said, and both learned more from English than from Mandarin: figures of one
language and one judge may be compared, others not. Needs `pip install 'cosyrt[judge]'`, flite and espeak-ng
with their Debian libraries; what is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.chain import LANGUAGES, Bench, add_options, print_unjudged
from benchmarks.judges import SHORTEST_S, DistillMos, DnsMos, opened
from benchmarks.report import machine, table, write_json
from cosyrt import Audio

LIMIT = 40  # sentences of each language, unless more are asked for: the intervals are narrow by then
Scores = Mapping[str, float]


class Judge(Protocol):
    """A judge guesses listeners' opinions."""

    def scores(self, audio: Audio) -> dict[str, float]:
        """Give each of its scores, 1 to 5, under its name."""


def judges() -> tuple[list[Judge], list[str]]:
    """Open the judges that are installed, and say why the others are not there."""
    kinds: dict[str, Callable[[], Judge]] = {f"what {kind.name} says": kind for kind in (DistillMos, DnsMos)}
    return opened(kinds)


def scores(audio: Audio, panel: Iterable[Judge]) -> dict[str, float]:
    """Ask all judges about one sound; nothing where the sound is too short for them."""
    if audio.seconds < SHORTEST_S:
        return {}
    return {name: score for judge in panel for name, score in judge.scores(audio).items()}


def mean_row(stage: str, found: Sequence[Scores]) -> dict[str, Any]:
    """Give the mean of each score and half the width of its 95 % interval."""
    row: dict[str, Any] = {"stage": stage, "sounds": len(found)}
    for name in found[0]:
        values = np.array([one[name] for one in found])
        row[name] = float(values.mean())
        row[f"{name} ±"] = half_width(values)
    return row


def half_width(values: np.ndarray) -> float | None:
    """Compute half the 95 % interval of the mean; None for a single value."""
    if len(values) < 2:
        return None
    return float(1.96 * values.std(ddof=1) / len(values) ** 0.5)


def of_model(bench: Bench, panel: Sequence[Judge], cannot: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Judge a model: a table for each language, by its title."""
    tables = {}
    for language, name in LANGUAGES.items():
        stages: dict[str, list[Scores]] = {}
        short = 0
        for spoken in bench.spoken(language):
            if found := scores(spoken.audio, panel):
                stages.setdefault(spoken.stage, []).append(found)
            else:
                short += 1
        if short and panel:
            cannot.append(f"{short} sounds in {name} shorter than {SHORTEST_S:g} s")
        tables[name] = [mean_row(stage, found) for stage, found in stages.items()]
    return tables


def of_files(
    files: Iterable[Path], panel: Sequence[Judge], cannot: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Judge files: one table with a row a file; what is too short goes to `cannot`."""
    rows = []
    for file in files:
        if found := scores(Audio.read(file), panel):
            rows.append({"file": str(file), **found})
        elif panel:
            cannot.append(f"{file} (shorter than {SHORTEST_S:g} s)")
    return {"Files": rows}


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser)
    parser.set_defaults(limit=LIMIT)
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, write; 1 if no judge is there."""
    options = options_of()
    panel, cannot = judges()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    if options.files:
        tables = of_files(options.files, panel, cannot)
    else:
        bench = Bench(options)
        tables = of_model(bench, panel, cannot)
        cannot += bench.cannot
    for title, rows in tables.items():
        print(f"\n{title}\n{table(rows)}")
    print_unjudged(cannot)
    if options.json:
        write_json(options.json, tables=tables, unjudged=cannot)
    return int(not panel)


if __name__ == "__main__":
    sys.exit(main())
