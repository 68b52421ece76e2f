"""How many seconds of audio a second: a list spoken by `batch`, and by a loop of `say`, by turns.

    python -m benchmarks.batch --sentences 300 --streams 8 --rounds 3
    python -m benchmarks.batch --model FOLDER --sentences 20 --streams 4 --per-text 0.7 --warm 1

Each round speaks the whole list both ways, in alternating order, and the loop once more: the A/A run.
A model without voices speaks with a made one. Random weights never stop by themselves: `--per-text` has
them speak about so many speech tokens for each of the text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

import cosyrt
from benchmarks.chain import SENTENCES
from cosyrt.batch.manifest import Item
from cosyrt.batch.run import BatchConfig, batch
from cosyrt.engine.pipeline import Pipeline
from cosyrt.lab.workload import Workload
from cosyrt.voice.voice import Voice

Run = Callable[[list[Item]], float]  # items → seconds of audio


def bounded(tts: Pipeline, per_text: float) -> Pipeline:
    """Make a pipeline that speaks at most so many speech tokens for each text token."""
    settings = tts.model.settings
    decoding = replace(settings.decoding, least_per_text=per_text / 2, most_per_text=per_text)
    return Pipeline(replace(tts.model, settings=replace(settings, decoding=decoding)))


def by_batch(tts: Pipeline, voice: Voice | None, streams: int) -> Run:
    """Speak a list by `batch`, files included."""

    def run(items: list[Item]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            results = list(batch(tts, items, folder, BatchConfig(streams=streams, voice=voice)))
        failed = [result.reason for result in results if result.status == "failed"]
        assert not failed, failed[0]
        return sum(result.seconds for result in results)

    return run


def by_loop(tts: Pipeline, voice: Voice | None) -> Run:
    """Speak a list by a loop of `say`, files included."""

    def run(items: list[Item]) -> float:
        seconds = 0.0
        with tempfile.TemporaryDirectory() as folder:
            for item in items:
                audio = tts.say(item.text, voice=voice)
                audio.write(Path(folder) / f"{item.id}.wav")
                seconds += audio.seconds
        return seconds

    return run


def main() -> None:
    """Measure and print a JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model folder; without it the built-in voice")
    parser.add_argument("--sentences", type=int, default=300)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--per-text", type=float, help="speech tokens of a text token, at most")
    parser.add_argument("--warm", type=int, help="sentences that warm each way up: twice the streams")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tts = cosyrt.load(options.model)
    if options.per_text:
        tts = bounded(tts, options.per_text)
    voice = None if tts.voices else Workload(tts.model).voice(0)
    lines = [line for path in SENTENCES.values() for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [lines[number * len(lines) // options.sentences] for number in range(options.sentences)]
    items = [Item(id=f"{number:06d}", text=text) for number, text in enumerate(texts)]
    loop = by_loop(tts, voice)
    runs = {"loop": loop, "batch": by_batch(tts, voice, options.streams), "loop again": loop}
    for run in runs.values():
        run(items[: options.warm or 2 * options.streams])
    paces: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(options.rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            begin = time.perf_counter()
            seconds = runs[name](items)
            paces[name].append(seconds / (time.perf_counter() - begin))
            print(f"round {number + 1}: {name} {paces[name][-1]:.2f} s of audio a second", flush=True)
    gains = [fast / slow for fast, slow in zip(paces["batch"], paces["loop"], strict=True)]
    noise = [again / slow for again, slow in zip(paces["loop again"], paces["loop"], strict=True)]
    facts = {
        "audio_s_per_s": {name: round(statistics.median(values), 3) for name, values in paces.items()},
        "batch_over_loop": [round(statistics.median(gains), 3), round(min(gains), 3), round(max(gains), 3)],
        "loop_over_loop": [round(statistics.median(noise), 3), round(min(noise), 3), round(max(noise), 3)],
        "threads": options.threads,
        "streams": options.streams,
        "sentences": options.sentences,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
