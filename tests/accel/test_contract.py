"""What backends promise: as many rows as they say, each what it is alone in the plain stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel import registry
from cosyrt.accel.contract import Backend
from cosyrt.accel.distance import divergence
from cosyrt.accel.registry import BACKENDS, accelerated
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.families import FAMILIES
from cosyrt.lab.parity import LIMITS

CPU = torch.device("cpu")
SIZES = (1, 2, 3, 8)
SLOW = ("openvino", "onnxruntime")  # to make
LANGUAGE = [
    pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ())
    for name, one in BACKENDS.items()
    if "llm" in one.parts
]


def spoken(stages: Stages, rows: list[int], other: int = 0) -> Tensor:  # [S, B, V]
    """Log-probabilities of steps of these utterances together, each of another length.

    With `other` all but the first say other tokens.
    """
    cache, found = stages.new_cache(len(rows), 60), []
    ends = []
    for place, row in enumerate(rows):
        text = torch.arange(3 + 2 * row)[None] + (other if place else 0)
        stages.prefill(text, text[:, : row % 3], cache.row(place))
        ends.append(5 + 2 * row + row % 3)
    for count in range(3):
        position = torch.tensor(ends) + count
        mask = torch.arange(int(position.max()) + 1) <= position[:, None]
        token = torch.tensor(rows) * 7 + count + other * (torch.arange(len(rows)) > 0)
        found.append(stages.step(token, position, mask[:, None, None], cache))
    return torch.stack(found)


@pytest.mark.parametrize("name", LANGUAGE)
@pytest.mark.parametrize("family", ["cosyvoice2", "cosyvoice"])
def test_each_row_is_what_it_is_alone(name: str, family: str, tiny: Pipeline, tiny1: Pipeline) -> None:
    """At every number of rows each is within the class of the plain stages, whoever its neighbours are."""
    one, model = BACKENDS[name], {tts.family: tts.model for tts in (tiny, tiny1)}[family]
    there = one.availability(CPU)
    if not there.ok or one.refusal("llm", FAMILIES[family]):
        pytest.skip(there.reason or one.refusal("llm", FAMILIES[family]))
    stages = accelerated({"llm": name})(model)
    alone = torch.cat([spoken(model.plain, [row]) for row in range(max(SIZES))], dim=1)

    for size in SIZES:
        found = spoken(stages, list(range(size)))
        for row in range(size):
            assert divergence(found[:, row], alone[:, row]) <= LIMITS[one.precision].expectation, (size, row)
    assert torch.equal(spoken(stages, [0, 1, 2])[:, 0], spoken(stages, [0, 1, 2], other=50)[:, 0])


def test_a_backend_is_asked_for_no_more_rows_than_it_takes(
    tiny: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word about rows it takes one: more are split into calls of one, which change nothing."""
    asked: list[int] = []

    def build(part: str, model: Model) -> Stages:
        def step(token: Tensor, *rest: Any) -> Tensor:
            asked.append(len(token))
            return model.plain.step(token, *rest)

        return model.plain.replacing(step=step)

    modest = Backend(
        name="modest",
        precision="exact",
        parts=("llm",),
        availability=BACKENDS["int8"].availability,
        build=build,
        predicts=lambda device: 1.0,
        option="modest",
        advice=BACKENDS["int8"].advice,
    )
    found = {}
    for rows in (1, 2, None):
        monkeypatch.setattr(registry, "backend", lambda name, rows=rows: replace(modest, rows=rows))
        found[rows] = spoken(accelerated({"llm": "modest"})(tiny.model), [0, 1, 2])

    assert modest.rows == 1
    assert asked == [1] * 9 + [2, 1] * 3 + [3] * 3
    for each in found.values():
        torch.testing.assert_close(each, found[None], atol=1e-5, rtol=0)
