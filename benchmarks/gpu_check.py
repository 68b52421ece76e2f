"""Everything that has never run on a GPU, most valuable first, in a few minutes; safe to stop anywhere.

    scripts/gpu_check --minutes 8
    scripts/gpu_check --minutes 8 --upstream ~/CosyVoice --upstream-python ~/upstream/bin/python
    scripts/gpu_check --small --device cpu        does the script itself work? a small model, on the processor

Each step is a process with a limit of its own. After each, the results so far are in OUT/results.json and its
output is in OUT/STEP.log, so that nothing is lost when the time is up or the machine goes away.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks import random_model

ROOT = Path(__file__).parent.parent
LEAST_S = 5.0  # a step that would have less is not begun
KILLED_S = 10.0  # for a process that was asked to end
LAST_LINES = 5

Outcome = Literal["passed", "failed", "out of time", "not begun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One process, and the share of all minutes that it may take."""

    name: str
    command: Sequence[str]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a step."""

    name: str
    outcome: Outcome
    seconds: float
    last: str  # lines of its output


def steps(options: argparse.Namespace) -> Iterator[Step]:
    """All steps, the most valuable first."""
    python, folder, device = sys.executable, str(options.folder), options.device
    cosyrt, budget = [python, "-m", "cosyrt"], f"{0.25 * options.minutes * 60:.0f}s"
    seconds = f"{max(1.0, 0.03 * options.minutes * 60):.0f}"
    bench = [*cosyrt, "bench", folder, "--device", device, "--json"]
    yield Step(name="device", command=[*cosyrt, "device", "--json"], share=0.05)
    tests = [python, "-m", "pytest", "-q", "-m", "gpu", "tests/accel", "tests/engine"]
    yield Step(name="tests", command=tests, share=0.2)
    tune = [*cosyrt, "tune", folder, "--device", device, "--json", "--budget", budget]
    yield Step(name="tune", command=tune, share=0.35)
    speak = [*bench, "--compare", "eager,plan", "--texts", "short", "--passes", "3", "--budget", "30"]
    yield Step(name="bench", command=speak, share=0.2)
    streams = "1,2" if options.small else "1,16,64"
    yield Step(name="streams", command=[*bench, "--streams", streams, "--seconds", seconds], share=0.2)
    if options.upstream is not None:
        compare = [python, "-m", "benchmarks.against_upstream", "--upstream", str(options.upstream)]
        compare += ["--upstream-python", options.upstream_python, "--folder", folder, "--ways", "eager,plan"]
        yield Step(name="upstream", command=[*compare, *["--small"] * options.small], share=0.3)


def run(step: Step, limit_s: float, log: Path, environment: dict[str, str]) -> Result:
    """Run a step until its end or its limit; whatever it has begun ends with it."""
    begin = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            step.command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
            outcome: Outcome = "passed" if code == 0 else "failed"
        except subprocess.TimeoutExpired:
            outcome = "out of time"
        finally:
            _end(process)
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    seconds = round(time.monotonic() - begin, 1)
    return Result(name=step.name, outcome=outcome, seconds=seconds, last="\n".join(lines))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has begun."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(KILLED_S)
        except subprocess.TimeoutExpired:
            continue


def run_all(options: argparse.Namespace) -> list[Result]:
    """Run the steps while there is time, and write the results after each."""
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.folder.exists():
        random_model.write(options.folder, small=options.small)
    environment = {**os.environ, "COSYRT_PLANS": str(options.out / "plans"), "PYTHONPATH": str(ROOT)}
    begin, total_s, results = time.monotonic(), options.minutes * 60, list[Result]()
    for step in steps(options):
        limit_s = min(step.share * total_s, begin + total_s - time.monotonic())
        if limit_s < LEAST_S:
            results.append(Result(name=step.name, outcome="not begun", seconds=0.0, last=""))
        else:
            results.append(run(step, limit_s, options.out / f"{step.name}.log", environment))
        found = json.dumps([asdict(result) for result in results], indent=1)
        (options.out / "results.json").write_text(found)
        print(f"{results[-1].name:<10} {results[-1].outcome:<12} {results[-1].seconds:6.1f} s", flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; the exit code is 1 where one failed."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--minutes", type=float, default=8.0, help="all steps together")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a small model in place of the published size")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="a folder for results and logs")
    parser.add_argument("--folder", type=Path, help="keep the random model there, or use the one that is")
    parser.add_argument("--upstream", type=Path, help="a checkout of CosyVoice to compare with")
    parser.add_argument("--upstream-python", default=sys.executable, help="with its requirements installed")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    options.folder = (options.folder or options.out / "model").resolve()
    try:
        results = run_all(options)
    except KeyboardInterrupt:
        print(f"stopped; what was found is in {options.out}")
        return 130
    return int(any(result.outcome == "failed" for result in results))


if __name__ == "__main__":
    sys.exit(main())
