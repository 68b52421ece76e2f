"""What speaking several utterances at once gains in each stage: seconds of work for a second of audio.

Each part of a streamed utterance is run for one and for several streams, by the plain stages and by those of
a plan, in turns. The clock is the time of the processor, whatever else the machine does meanwhile.

    python -m benchmarks.streams_by_stage --streams 4 --plan llm=openvino-int8,velocity=openvino
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection, Sequence
from itertools import product
from statistics import median
from typing import cast

import torch

from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.registry import accelerated
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.together import calls_together
from cosyrt.lab.workload import Length, Workload, seconds_of

SPOKEN = Length(110, 0, True)  # speech tokens of a sentence or two, streamed without a prompt
TITLES: dict[Part, str] = {
    "llm": "language model",
    "encode": "encoder",
    "velocity": "flow",
    "vocode": "vocoder",
}
Cell = tuple[str, int]  # a way to run the model, and how many streams
Figures = dict[Part, dict[Cell, float]]


def measured(
    model: Model,
    ways: dict[str, Stages],
    streams: Sequence[int],
    passes: int,
    parts: Collection[Part] = tuple(PARTS),
) -> Figures:
    """Milliseconds of work for a second of audio of one stream: of each part, way and number of streams."""
    utterance = Workload(model).utterance(SPOKEN)
    audio_s = SPOKEN.speech_tokens / model.settings.rates.token_hz
    found: dict[Part, dict[Cell, list[float]]] = {part: {} for part in parts}
    for _ in range(1 + passes):  # the first one is thrown away
        for part, (name, stages), count in product(parts, ways.items(), streams):
            calls = calls_together(model, stages, part, utterance, count, time.process_time)
            spent = seconds_of(model, part, utterance, calls) / count / audio_s
            found[part].setdefault((name, count), []).append(1000 * spent)
    return {part: {cell: median(each[1:]) for cell, each in cells.items()} for part, cells in found.items()}


def table(found: Figures, ways: Sequence[str], streams: Sequence[int]) -> str:
    """The figures as a table, with the gain of several streams over one."""
    cells: list[Cell] = list(product(ways, streams))
    found_of_all = {cell: sum(each[cell] for each in found.values()) for cell in cells}
    head = ["stage", *(f"{way}, {count}" for way, count in cells), *(f"gain, {way}" for way in ways)]
    rows = [(TITLES[part], each) for part, each in found.items()] + [("all", found_of_all)]
    lines = [head, ["---"] * len(head)]
    for title, each in rows:
        gains = [each[way, streams[0]] / each[way, streams[-1]] for way in ways]
        lines.append([title, *(f"{each[cell]:.1f}" for cell in cells), *(f"{gain:.2f}" for gain in gains)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="a model folder; without one it is the built-in voice")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--plan", default="", metavar="PART=BACKEND,…", help="a second way to run the model")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="stages that are measured")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    model = Model.open(given.model, "cpu")
    ways = {"plain": model.plain}
    if given.plan:
        pairs = (pair.split("=") for pair in given.plan.split(","))
        ways["plan"] = accelerated({cast(Part, part): name for part, name in pairs})(model)
    streams = (1, given.streams)
    print(table(measured(model, ways, streams, given.passes, given.parts), list(ways), streams))


if __name__ == "__main__":
    main()
