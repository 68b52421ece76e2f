"""Milliseconds a token of the language model, for several utterances at once: plain, batched by a plan, vLLM.

Each way speaks the same text through the rows that the scheduler has, sampling included; the first tokens are
not counted, and no stop is allowed. vLLM needs an environment of its own (docs/scale.md).

    COSYRT_VLLM_PYTHON=vllm/bin/python python -m benchmarks.vllm_tokens --batched openvino
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import cast

import torch

from cosyrt.accel.contract import Part
from cosyrt.accel.registry import accelerated
from cosyrt.accel.vllm.acceleration import suited, vllm
from cosyrt.accel.vllm.engine import VllmEngine
from cosyrt.engine.decoding import LanguageModelInput, complete
from cosyrt.engine.engine_rows import rows_on
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.own_tokens import endless

TEXT_TOKENS, UNCOUNTED = 40, 8


def ms_a_step(model: Model, stages: Stages, count: int, tokens: int) -> float:
    """Milliseconds in which each of so many utterances becomes one token longer."""
    config = endless(model.settings.decoding, TEXT_TOKENS, tokens)
    rows = rows_on(stages, config, model.device, capacity=count)
    text = LanguageModelInput(list(range(1, TEXT_TOKENS + 1)), [], [])
    mine = [rows.join(complete(config, text), torch.Generator().manual_seed(seed)) for seed in range(count)]
    began_s, uncounted = 0.0, 0
    while least := [row for row in mine if row.decoder.spoken < tokens]:
        rows.step(least)
        if not began_s and min(row.decoder.spoken for row in mine) >= UNCOUNTED:
            began_s, uncounted = time.perf_counter(), min(row.decoder.spoken for row in mine)
    took_s = time.perf_counter() - began_s
    for row in mine:
        rows.leave(row)
    return 1000 * took_s / (tokens - uncounted)


def ways(model: Model, batched: str, dtype: str) -> Iterator[tuple[str, Stages]]:
    """Each way to run the language model, the next one begun when the last one is over."""
    yield "plain", model.plain
    yield batched, accelerated(cast(dict[Part, str], {"llm": batched}))(model)
    began_s = time.perf_counter()
    stages = vllm(replace(suited(model), dtype=dtype))(model)
    assert isinstance(stages.engine, VllmEngine)
    print(f"vLLM was ready after {time.perf_counter() - began_s:.0f} s")
    yield f"vLLM, {dtype}", stages
    stages.engine.close()


def line(title: str, model: Model, stages: Stages, counts: Sequence[int], tokens: int, passes: int) -> str:
    """One row of the table: a step, and what that is for each token of the batch."""
    cells = []
    for count in counts:
        ms_a_step(model, stages, count, 2 * UNCOUNTED)  # thrown away
        step = median(ms_a_step(model, stages, count, tokens) for _ in range(passes))
        cells.append(f"{step:.2f} ({step / count:.2f})")
    return "| " + " | ".join([title, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", help="a model folder; the built-in voice without one")
    parser.add_argument("--batched", default="openvino", help="the backend of the plan")
    parser.add_argument("--dtype", default="float32", help="of vLLM")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args()
    model = Model.open(given.folder, "cpu")
    print(f"{torch.get_num_threads()} threads; milliseconds a step of the batch (and a token)")
    print("| way | " + " | ".join(f"batch {count}" for count in given.counts) + " |")
    for title, stages in ways(model, given.batched, given.dtype):
        print(line(title, model, stages, given.counts, given.tokens, given.passes), flush=True)


if __name__ == "__main__":
    main()
