"""Which backend is fastest for each part on older processors: instruction sets are masked one by one.

    python -m benchmarks.instruction_sets MODEL [--passes 3] [--threads 1] [--sets AVX2,VNNI] [--json FILE]

Each set has a process of its own, in which oneDNN, OpenVINO, MKL and torch use nothing beyond it. (ONNX
Runtime cannot be masked and is left out.) All backends of a part are run in turns, on the same utterance, and
the clock is the time of the processor, whatever else the machine does. The table has milliseconds of
work for a second of audio; a part's fastest backend is marked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks.report import Row, machine, table, write_json
from cosyrt.accel.backend import calibrated
from cosyrt.accel.contract import Part
from cosyrt.accel.registry import EAGER, accelerated
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.workload import Length, Workload, seconds_of, stage_calls

SPOKEN = Length(50, 25, False)  # speech tokens of a short sentence after a second of prompt
CANDIDATES: dict[Part, tuple[str, ...]] = {
    "llm": (EAGER, "int8", "openvino-int8", "openvino-int4"),
    "velocity": (EAGER, "openvino", "openvino-w8a8", "bf16", "openvino-bf16"),
    "vocode": (EAGER, "openvino", "openvino-w8a8", "openvino-bf16"),
}


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """What each library is told to keep to."""

    onednn: str  # and OpenVINO, which is built on it
    mkl: str
    torch: str
    vnni: bool = True
    bf16: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process is started with."""
        return {
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "MKL_ENABLE_INSTRUCTIONS": self.mkl,
            "ATEN_CPU_CAPABILITY": self.torch,
        }


SETS = {
    "AVX2": InstructionSet("AVX2", "AVX2", "avx2", vnni=False),
    "AVX-512": InstructionSet("AVX512_CORE", "AVX512", "avx512", vnni=False),
    "VNNI": InstructionSet("AVX512_CORE_VNNI", "AVX512_E1", "avx512"),
    "bf16": InstructionSet("AVX512_CORE_BF16", "AVX512_E1", "avx512", bf16=True),
    "AMX": InstructionSet("AVX512_CORE_AMX", "AVX512_E4", "avx512", bf16=True),
}


def measured(model: Model, bf16: bool, passes: int) -> dict[str, dict[str, float]]:
    """Milliseconds of work for a second of audio of each backend that there is, by part."""
    utterance = Workload(model).utterance(SPOKEN)
    audio_s = SPOKEN.speech_tokens / model.settings.rates.token_hz
    found: dict[str, dict[str, float]] = {}
    for part, names in CANDIDATES.items():
        usable = [name for name in names if bf16 or "bf16" not in name]
        ways = {name: stages_of(model, part, name) for name in usable}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(1 + passes):
            for name, stages in ways.items():
                calls = stage_calls(model, stages, part, utterance, time.process_time)
                times[name].append(1000 * seconds_of(model, part, utterance, calls) / audio_s)
        found[part] = {name: median(each[1:]) for name, each in times.items()}
    return found


def stages_of(model: Model, part: Part, name: str) -> Stages:
    """Stages of which one part is run by a backend."""
    return model.plain if name == EAGER else accelerated({part: name})(model)


def here(options: argparse.Namespace) -> None:
    """Measure in this process, whose instruction sets are masked, and print the figures as JSON."""
    known = SETS[options.here]
    torch.set_num_threads(options.threads)
    # torch asks the processor, whatever is masked
    calibrated.has_bf16, calibrated.has_vnni = lambda: known.bf16, lambda: known.vnni
    print(json.dumps(measured(Model.open(options.model, "cpu"), known.bf16, options.passes)))


def masked(name: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure in a process of its own that keeps to an instruction set."""
    command = [sys.executable, "-m", "benchmarks.instruction_sets", options.model, "--here", name]
    command += ["--passes", str(options.passes), "--threads", str(options.threads)]
    environment = os.environ | SETS[name].environment
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, dict[str, float]] = json.loads(run.stdout.splitlines()[-1])
    return found


def rows(found: dict[str, dict[str, dict[str, float]]]) -> list[Row]:
    """One row a part and backend, one column a set."""
    made: list[Row] = []
    for part, names in CANDIDATES.items():
        for name in names:
            cells = {each: _cell(figures[part], name) for each, figures in found.items()}
            made.append({"part": part, "backend": name} | cells)
    return made


def _cell(figures: dict[str, float], name: str) -> str:
    if name not in figures:
        return ""
    return f"{figures[name]:.0f}" + (" *" if figures[name] == min(figures.values()) else "")


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model folder of CosyVoice 2")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", default=",".join(SETS), help="the instruction sets, with commas")
    parser.add_argument("--here", choices=SETS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure each instruction set in turn, print the table after each, write."""
    options = options_of()
    if options.here:
        here(options)
        return
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in options.sets.split(","):
        found[name] = masked(name, options)
        print(table(rows(found)), flush=True)
    if options.json:
        write_json(options.json, threads=options.threads, milliseconds=found)


if __name__ == "__main__":
    main()
