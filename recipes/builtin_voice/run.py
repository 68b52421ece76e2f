"""Makes the built-in voice from nothing: data, every stage, export. A stopped run goes on.

`--scale 1` is what the published weights had on two CPU cores. A GPU takes larger batches; see README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = "recipes.builtin_voice"
# Stage, arguments, minutes at scale 1 (None: as long as it takes).
STAGES: tuple[tuple[str, tuple[str, ...], float | None], ...] = (
    ("data", ("--hours", "10", "--lang", "en,zh", "--processes", "2"), None),
    ("tokenizer", ("prepare", "--processes", "2"), None),
    ("speaker", ("train",), 2),
    ("speaker", ("voices",), None),
    ("tokenizer", ("train",), 7),
    ("tokenizer", ("tokenize",), None),
    ("vocoder", ("train",), 25),
    ("flow", ("train",), 43),
    ("language_model", ("train",), 65),
)
ON_DEVICE = {"speaker", "tokenizer", "vocoder", "flow", "language_model"}


def command(
    stage: str, arguments: tuple[str, ...], minutes: float | None, options: argparse.Namespace
) -> list[str]:
    """The command line of one stage."""
    line = [sys.executable, "-m", f"{HERE}.{stage}", *arguments, "--work", str(options.work)]
    if minutes is not None:
        line += ["--minutes", f"{minutes * options.scale:g}"]
    if stage in ON_DEVICE:
        line += ["--device", options.device, "--threads", str(options.threads)]
    return line


def main() -> None:
    """Run what is not done yet, then export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and weights (about 6 GB)")
    parser.add_argument(
        "--out", type=Path, default=Path("cosyrt/builtin"), help="where the model folder goes"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="times the training minutes of each stage")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for number, (stage, arguments, minutes) in enumerate(STAGES):
        done = options.work / f"{number}.{stage}.done"
        if done.exists():
            continue
        print(f"[{number + 1}/{len(STAGES)}] {stage} {arguments[0]}", flush=True)
        subprocess.run(command(stage, arguments, minutes, options), check=True)
        done.touch()
    subprocess.run(
        [sys.executable, "-m", f"{HERE}.export", "--work", str(options.work), "--out", str(options.out)],
        check=True,
    )


if __name__ == "__main__":
    main()
