"""Makes the built-in voice from nothing: data, every stage, export. A stopped run goes on.

`--scale 1` is what the published weights had, each stage on one core of two. A GPU takes larger batches; see
README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

HERE = "recipes.builtin_voice"


@dataclass(frozen=True, slots=True)
class Stage:
    """One command, and the stages that must be over before it."""

    name: str
    module: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    minutes: float | None = None  # at scale 1; None: as long as it takes

    def command(self, options: argparse.Namespace) -> list[str]:
        """The command that runs this step."""
        work = str(options.work)
        line = [sys.executable, "-m", f"{HERE}.{self.module}", *self.arguments, "--work", work]
        if self.minutes is not None:
            line += ["--minutes", f"{self.minutes * options.scale:g}"]
        if self.module not in ("data", "export"):
            line += ["--device", options.device, "--threads", str(options.threads)]
        return [part.replace("WORK", work) for part in line]


STAGES = (
    Stage("data", "data", ("--hours", "12", "--processes", "2")),
    Stage("features", "tokenizer", ("prepare", "--processes", "2"), ("data",)),
    Stage("speaker", "speaker", ("train",), ("data",), 2),
    Stage("voices", "speaker", ("voices",), ("speaker",)),
    Stage("tokenizer", "tokenizer", ("train",), ("features",), 19),
    Stage("vocoder", "vocoder", ("train",), ("features",), 54),
    Stage("tokens", "tokenizer", ("tokenize",), ("tokenizer",)),
    Stage("flow", "flow", ("train",), ("tokens", "voices"), 275),
    Stage("language_model", "language_model", ("train",), ("tokens",), 62),
    Stage("mels", "flow", ("mels", "--hours", "3.6"), ("flow",)),
    Stage(
        "vocoder_flow",
        "vocoder",
        ("train", "--name", "vocoder_flow", "--flow-mels", "--start-from", "WORK/vocoder.safetensors",
         "--learning-rate", "8e-4"),
        ("mels", "vocoder"),
        65,
    ),
)  # fmt: skip


def run(stages: tuple[Stage, ...], at_once: int, call: Callable[[Stage], None]) -> None:
    """Call every stage as soon as what it needs is there; the first that fails ends the run."""
    todo, over, running = list(stages), set[str](), dict[Future[None], str]()
    with ThreadPoolExecutor(at_once) as pool:
        while todo or running:
            ready = [stage for stage in todo if over.issuperset(stage.after)]
            for stage in ready[: at_once - len(running)]:
                todo.remove(stage)
                running[pool.submit(call, stage)] = stage.name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                over.add(running.pop(future))
                future.result()


def main() -> None:
    """Run what is not done yet, then export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and weights (about 8 GB)")
    parser.add_argument(
        "--out", type=Path, default=Path("cosyrt/builtin"), help="where the model folder goes"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="times the training minutes of each stage")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--at-once", type=int, default=2, help="stages side by side")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    def call(stage: Stage) -> None:
        done = options.work / f"{stage.name}.done"
        if not done.exists():
            print(f"{stage.name} begins", flush=True)
            subprocess.run(stage.command(options), check=True)
            done.touch()

    run(STAGES, options.at_once, call)
    export = Stage("export", "export", ("--out", str(options.out), "--vocoder", "vocoder_flow"))
    subprocess.run(export.command(options), check=True)


if __name__ == "__main__":
    main()
