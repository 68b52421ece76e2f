"""Upstream's own code and ours, in turn, on the same random weights: how many times as fast?

    python -m benchmarks.against_upstream --upstream CHECKOUT [--upstream-python PYTHON] [--small]
        [--way eager] [--rounds 3] [--threads N] [--stream-s 20] [--late-s 60] [--cache-gb N]
        [--folder MODEL] [--json FILE]

Each side is a process with its model loaded; they are asked in turn, and the order alternates. The prompt is
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
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import random_model
from benchmarks.report import machine, table, write_json
from benchmarks.side import FRAMES_PER_TOKEN, TOKENS_PER_S, Side
from cosyrt.lab.timing import TimingConfig, interleaved, speedup

TOKENS = 100  # 4 s
FIRST_TOKENS = 40  # of the utterance whose first audio is waited for
SIDES = ("upstream", "cosyrt")
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
MEMORY = "peak memory, MB"


class Comparison:
    """Two sides, and the seconds that they answered."""

    def __init__(self, sides: dict[str, Side]) -> None:
        self.sides = sides
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

    def row(self, what: str, rounds: int) -> dict[str, Any]:
        """Medians of both, and their ratio with its interval."""
        before, after = (np.array([self.answers[what][name][-rounds:]]) for name in SIDES)
        found = speedup(before, after)
        medians = {f"{name} s": float(np.median(self.answers[what][name][-rounds:])) for name in SIDES}
        return {"what": what, **medians, "times as fast": found.median, "low": found.low, "high": found.high}

    def growth(self) -> dict[str, Any]:
        """Ratio of the costs of a late and an early chunk."""
        times = {
            f"{name} s": self.answers[LATE][name][-1] / float(np.median(self.answers[EARLY][name]))
            for name in SIDES
        }
        return {"what": f"times as dear late as at {EARLY_S} s"} | times

    def memory(self) -> dict[str, Any]:
        """Peak memory of either process so far."""
        needed = {f"{name} s": self.sides[name].ask("memory_mb") for name in SIDES}
        ratio = needed["upstream s"] / needed["cosyrt s"]
        return {"what": MEMORY, **needed, "times as fast": ratio}

    def difference(self, folder: Path) -> float:
        """Largest difference of both mels of the same tokens: do both sides run the same model?"""
        mels = []
        for name in SIDES:
            path = folder / f"{name}.npy"
            self.sides[name].ask("write_mel", TOKENS, str(path))
            mels.append(np.load(path))
        upstream, ours = mels
        return float(np.abs(upstream - ours).max() / np.abs(upstream).max())


@contextmanager
def both(options: argparse.Namespace, folder: Path, logs: Path) -> Iterator[dict[str, Side]]:
    """Run both sides as processes."""
    threads = str(options.threads)
    theirs = [options.upstream_python, "-m", "benchmarks.upstream_side", str(options.upstream)]
    ours = [sys.executable, "-m", "benchmarks.cosyrt_side", str(folder), options.way]
    sides = {
        "upstream": Side([*theirs, str(folder), threads], logs / "upstream.log"),
        "cosyrt": Side([*ours, threads, str(options.cache_gb or "")], logs / "cosyrt.log"),
    }
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
    parser.add_argument("--way", default="eager", help="how ours is run: eager, plan, int8 …")
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
        yield [comparison.row(STREAM, 1)]
    if options.late_s:
        comparison.measure_once(LATE, "chunk", options.late_s)
        yield [comparison.row(LATE, 1), comparison.growth()]


def compare(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Measure every figure; exit where the two sides do not run the same model."""
    folder = options.folder or work / "model"
    if not folder.exists():
        random_model.write(folder, small=options.small)
    with both(options, folder, work) as sides:
        comparison = Comparison(sides)
        difference = comparison.difference(work)
        print(f"both mels of the same tokens differ by {difference:.1e} of the largest value", flush=True)
        rounds = comparison.measure(options.rounds)
        rows = [comparison.row(what, rounds) for what in ASKED]
        rows.append(comparison.memory())
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
        f"CosyVoice 2, {size}, random weights; ours: {options.way}; stream: {options.stream_s} s, "
        f"late: {options.late_s} s"
    )
    with tempfile.TemporaryDirectory() as work:
        rows = compare(options, Path(work))
    if options.json:
        write_json(options.json, way=options.way, small=options.small, threads=options.threads, rows=rows)


if __name__ == "__main__":
    main()
