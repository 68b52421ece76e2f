"""Upstream's own code and ours, in turn, on the same random weights: how many times as fast?

    python -m benchmarks.against_upstream --upstream CHECKOUT [--upstream-python PYTHON] [--small]
        [--family 3] [--ways eager,plan] [--rounds 3] [--threads N] [--stream-s 20] [--late-s 60]
        [--cache-gb N] [--folder MODEL] [--json FILE]

Each side is a process with its model loaded, ours one for each way; they are asked in turn, and the order
alternates. The prompt is
3 s, the utterance 4 s, and both speak exactly as many tokens. PYTHON has upstream's requirements installed;
torchaudio need not be among them. Chunks are those of each side's own schedule, and their cost is a second of
their audio.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import random_model
from benchmarks.report import machine, table, write_json
from benchmarks.side import FRAMES_PER_TOKEN, TOKENS_PER_S, Side
from cosyrt.lab.timing import TimingConfig, interleaved, speedup

TOKENS = 100  # 4 s
FIRST_TOKENS = 40  # of the utterance whose first audio is waited for
UPSTREAM = "upstream"
EARLY_S = 2
EARLY = f"chunk at {EARLY_S} s, per s of audio"
ASKED: dict[str, tuple[str, int]] = {
    "whole utterance, 4 s": ("utterance", TOKENS),
    "language model, 100 tokens": ("llm", TOKENS),
    "flow, 4 s": ("flow", TOKENS),
    "vocoder, 4 s": ("vocoder", FRAMES_PER_TOKEN * TOKENS),
    "first audio of a stream": ("first_audio", FIRST_TOKENS),
    EARLY: ("chunk", EARLY_S * TOKENS_PER_S),
}
STREAM = "stream, flow and vocoder"
LATE = "chunk late, per s of audio"
WHOLE_MEMORY = "peak memory, one utterance, MB"
MEMORY = "peak memory, streams too, MB"


class Comparison:
    """Upstream's side and ours, and the seconds that they answered."""

    def __init__(self, sides: dict[str, Side]) -> None:
        self.sides = sides
        self.ways = [name for name in sides if name != UPSTREAM]
        self.answers: dict[str, dict[str, list[float]]] = {
            what: {name: [] for name in sides} for what in (*ASKED, STREAM, LATE)
        }

    def ask(self, what: str, name: str, request: str, argument: int) -> float:
        """Measure one side once, and give the seconds; of a chunk those for a second of its audio."""
        answer = self.sides[name].ask(request, argument)
        seconds = answer[0] / answer[1] if isinstance(answer, list) else answer
        self.answers[what][name].append(seconds)
        if sys.stderr.isatty():
            print(f"\r\033[K{what}: {name} {seconds:.3g} s", end="", file=sys.stderr, flush=True)
        return seconds

    def measure(self, rounds: int) -> int:
        """Measure all but the late chunk, the first round to warm up, and give how many rounds count."""

        def candidate(name: str) -> Callable[[str], float]:
            return lambda what: self.ask(what, name, *ASKED[what])

        timing = TimingConfig(early_passes=1, passes=rounds, least_passes=rounds)
        interleaved({name: candidate(name) for name in self.sides}, list(ASKED), timing)
        return rounds

    def measure_once(self, what: str, request: str, seconds: int) -> None:
        """Measure once what takes long: upstream computes all of a stream again for each chunk."""
        for name in self.sides:
            self.ask(what, name, request, seconds * TOKENS_PER_S)

    def rows(self, what: str, rounds: int) -> list[dict[str, Any]]:
        """Medians of upstream and of each of our ways, and their ratio with its interval."""
        return [self._row(what, way, rounds) for way in self.ways]

    def _row(self, what: str, way: str, rounds: int) -> dict[str, Any]:
        before, after = (self.answers[what][name][-rounds:] for name in (UPSTREAM, way))
        found = speedup(np.array([before]), np.array([after]))
        seconds = {"upstream": float(np.median(before)), "ours": float(np.median(after))}
        ratio = {"times as fast": found.median, "low": found.low, "high": found.high}
        return {"what": what, "way": way} | seconds | ratio

    def growth(self) -> list[dict[str, Any]]:
        """Ratio of the costs of a late and an early chunk."""
        times = {
            name: self.answers[LATE][name][-1] / float(np.median(self.answers[EARLY][name]))
            for name in self.sides
        }
        what = f"times as dear late as at {EARLY_S} s"
        return [
            {"what": what, "way": way, "upstream": times[UPSTREAM], "ours": times[way]} for way in self.ways
        ]

    def memory(self, what: str = MEMORY) -> list[dict[str, Any]]:
        """Peak memory of each process so far."""
        needed = {name: self.sides[name].ask("memory_mb") for name in self.sides}
        theirs = needed[UPSTREAM]
        return [
            {
                "what": what,
                "way": way,
                "upstream": theirs,
                "ours": needed[way],
                "times as fast": theirs / needed[way],
            }
            for way in self.ways
        ]

    def memory_of_one(self) -> list[dict[str, Any]]:
        """Peak memory of each process that has loaded its model and spoken once."""
        for name in self.sides:
            self.sides[name].ask("utterance", TOKENS)
        return self.memory(WHOLE_MEMORY)

    def differences(self, folder: Path) -> dict[str, float]:
        """Largest difference of our mels of the same tokens from upstream's: do all run the same model?"""
        mels = {}
        for number, name in enumerate(self.sides):
            path = folder / f"{number}.npy"
            self.sides[name].ask("write_mel", TOKENS, str(path))
            mels[name] = np.load(path)
        theirs = mels[UPSTREAM]
        return {way: float(np.abs(theirs - mels[way]).max() / np.abs(theirs).max()) for way in self.ways}


@contextmanager
def all_sides(options: argparse.Namespace, folder: Path, logs: Path) -> Iterator[dict[str, Side]]:
    """Run each side as a process."""
    threads = str(options.threads)
    theirs = [options.upstream_python, "-m", "benchmarks.upstream_side", str(options.upstream)]
    sides = {UPSTREAM: Side([*theirs, str(folder), threads], logs / "upstream.log")}
    for way in options.ways.split(","):
        ours = [sys.executable, "-m", "benchmarks.cosyrt_side", str(folder), way]
        sides[way] = Side([*ours, threads, str(options.cache_gb or "")], logs / f"{way}.log")
    try:
        yield sides
    finally:
        for side in sides.values():
            side.close()


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True, help="a checkout of CosyVoice")
    parser.add_argument("--upstream-python", default=sys.executable, help="with its requirements installed")
    parser.add_argument("--folder", type=Path, help="keep the random model there, or use the one that is")
    parser.add_argument("--small", action="store_true", help="a small model: is the comparison right?")
    parser.add_argument("--family", type=int, default=2, choices=(2, 3), help="CosyVoice 2 or 3")
    parser.add_argument(
        "--ways", default="eager", help="how ours is run, by commas: eager, plan, plan-exact, int8 …"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cache-gb", type=float, help="that a stream of ours may keep")
    parser.add_argument("--stream-s", type=int, default=20, help="how long the stream is; 0: none")
    parser.add_argument("--late-s", type=int, default=60, help="where the late chunk is; 0: nowhere")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def once(comparison: Comparison, options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """Measure what takes too long for every round."""
    if options.stream_s:
        comparison.measure_once(STREAM, "stream", options.stream_s)
        yield comparison.rows(STREAM, 1)
    if options.late_s:
        comparison.measure_once(LATE, "chunk", options.late_s)
        yield [*comparison.rows(LATE, 1), *comparison.growth()]


def compare(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Measure every figure, and print how far the mels of the sides are apart: they run the same model."""
    folder = options.folder or work / "model"
    if not folder.exists():
        random_model.write(folder, small=options.small, family=options.family)
    with all_sides(options, folder, work) as sides:
        comparison = Comparison(sides)
        one = comparison.memory_of_one()
        for way, difference in comparison.differences(work).items():
            print(
                f"{way}: mels of the same tokens differ by {difference:.1e} of the largest value", flush=True
            )
        rounds = comparison.measure(options.rounds)
        rows = [*chain.from_iterable(comparison.rows(what, rounds) for what in ASKED), *one]
        rows += comparison.memory()
        print(table(rows), flush=True)
        for found in once(comparison, options):
            print(table(found), flush=True)
            rows += found
    return rows


def main() -> None:
    """Measure, print, write."""
    options = options_of()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    size = "small" if options.small else "published size"
    print(
        f"CosyVoice {options.family}, {size}, random weights; ours: {options.ways}; "
        f"stream: {options.stream_s} s, late: {options.late_s} s"
    )
    with tempfile.TemporaryDirectory() as work:
        rows = compare(options, Path(work))
    if options.json:
        told = {"family": options.family, "ways": options.ways, "small": options.small}
        write_json(options.json, **told, threads=options.threads, rows=rows)


if __name__ == "__main__":
    main()
