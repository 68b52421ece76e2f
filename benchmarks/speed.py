"""How fast is the voice on this machine? Real-time factor, and how soon the first audio is there.

    python -m benchmarks.speed [--rounds 5] [--threads N] [--json FILE] [--model FOLDER]

Every round runs every case once, whole and streaming, so that a busy moment touches all of them; shown are
the medians of the rounds. The first round warms up and is not counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

import cosyrt
from benchmarks.report import machine, table, write_json
from cosyrt import Audio, Pipeline

TEXTS = {
    "en short": "Good morning.",
    "en medium": "The train to the coast leaves at half past nine, so we should have breakfast early.",
    "en long": (
        "It rained all morning but the afternoon was warm. We walked along the river until it was dark. "
        "The children were playing football in the garden, and my brother was reading a book about the sea. "
        "When the lights went out in the middle of the storm, nobody was surprised."
    ),
    "zh short": "早上好。",
    "zh medium": "去海边的火车九点半开，所以我们应该早一点吃早饭。",
    "zh long": (
        "上午一直在下雨，下午却很暖和。我们沿着河边走到天黑。孩子们在花园里踢足球，"
        "我哥哥在看一本关于大海的书。暴风雨中突然停电的时候，谁也没有感到意外。"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Times of one run, in seconds from the call."""

    audio_s: float
    first_s: float  # when the first chunk came
    total_s: float
    late_s: float  # the longest silence of a listener who starts to play with the first chunk


def measure(chunks: Iterable[Audio]) -> Run:
    """Take chunks as fast as they come."""
    begin = time.perf_counter()
    first_s = heard_s = late_s = total_s = 0.0
    for chunk in chunks:
        total_s = time.perf_counter() - begin
        first_s = first_s or total_s
        late_s = max(late_s, total_s - first_s - heard_s)
        heard_s += chunk.seconds
    return Run(audio_s=heard_s, first_s=first_s, total_s=total_s, late_s=late_s)


def whole(tts: Pipeline, text: str) -> Run:
    """Say it in one piece: the only chunk is there at the end."""
    return measure(tts.say(part) for part in (text,))


def rounds(tts: Pipeline, count: int) -> dict[str, list[tuple[Run, Run]]]:
    """Whole and streamed runs of every text, round by round; the first round is left out."""
    runs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in TEXTS}
    for number in range(count + 1):
        for name, text in TEXTS.items():
            pair = whole(tts, text), measure(tts.stream(text))
            if number:
                runs[name].append(pair)
        if sys.stderr.isatty():
            print(f"\r\033[Kround {number} of {count}", end="", file=sys.stderr, flush=True)
    return runs


def row(name: str, pairs: list[tuple[Run, Run]]) -> dict[str, Any]:
    """Medians of one text, and the range of the real-time factor."""
    said, streamed = zip(*pairs, strict=True)
    factors = [run.total_s / run.audio_s for run in said]
    return {
        "text": name,
        "audio_s": median(run.audio_s for run in said),
        "rtf": median(factors),
        "rtf_min": min(factors),
        "rtf_max": max(factors),
        "first_ms": 1000 * median(run.first_s for run in streamed),
        "stream_rtf": median(run.total_s / run.audio_s for run in streamed),
        "late_ms": 1000 * median(run.late_s for run in streamed),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder; default: the built-in voice")
    parser.add_argument("--device")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    begin = time.perf_counter()
    tts = cosyrt.load(options.model, device=options.device)
    load_s = time.perf_counter() - begin
    rows = [row(name, pairs) for name, pairs in rounds(tts, options.rounds).items()]
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"device {tts.device}, loaded in {load_s:.2f} s, medians of {options.rounds}\n{table(rows)}")
    if options.json:
        write_json(options.json, device=tts.device, load_s=load_s, rounds=options.rounds, speed=rows)


if __name__ == "__main__":
    main()
