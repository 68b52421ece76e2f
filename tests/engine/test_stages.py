"""Eager stages: what the velocity makes of the time alone is looked up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.engine.stages import KEPT_TIMES, Networks, eager, tabulated
from cosyrt.models.layers import attention_mask
from cosyrt.models.solver import time_steps
from cosyrt.models.velocity import FlowInputs
from tests import tiny, tiny1, tiny3

FRAMES = 12


@pytest.mark.parametrize("family", [tiny1, tiny, tiny3])
def test_the_table_is_the_network(family: object) -> None:
    """With the table as without, to the last bit, in every family and at each of the ten times."""
    flow = family.flow()  # type: ignore[attr-defined]
    stages = eager(Networks(llm=tiny.language_model(), flow=flow, vocoder=tiny.vocoder()))
    x, mu, prompt = torch.randn(3, 2, 80, FRAMES, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(2, 1, FRAMES)
    mask = attention_mask(valid[:, 0].bool(), None)
    for _ in range(2):
        for t in time_steps(10)[:-1]:
            inputs = FlowInputs(x, valid, mask, mu, t.expand(2), x[:, :, 0], prompt)
            with torch.inference_mode():
                assert torch.equal(stages.velocity(inputs, None), flow.velocity(inputs))


def test_each_time_is_computed_once() -> None:
    """Asked again it is looked up; another time, or another number of rows, is another question."""
    asked: list[list[float]] = []

    def timed(t: Tensor) -> Tensor:
        asked.append(t.tolist())
        return t[:, None]

    table = tabulated(timed)
    for t in (
        torch.tensor([0.5, 0.5]),
        torch.tensor([0.25, 0.25]),
        torch.tensor([0.5, 0.5]),
        torch.tensor([0.5]),
    ):
        assert torch.equal(table(t), t[:, None])

    assert asked == [[0.5, 0.5], [0.25, 0.25], [0.5]]


def test_the_table_is_bounded() -> None:
    """Whoever asks for ever new times makes it forget the oldest."""
    calls = 0

    def timed(t: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return t

    table = tabulated(timed)
    for number in [*range(KEPT_TIMES + 1), 0]:
        table(torch.tensor([number / 1000]))

    assert calls == KEPT_TIMES + 2
