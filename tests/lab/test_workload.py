"""What is measured stands for the whole utterance, also where calls become dearer as it goes on."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import size_of
from cosyrt.engine.stages import Stages
from cosyrt.lab import bench
from cosyrt.lab.bench import fresh_process
from cosyrt.lab.parity import verify
from cosyrt.lab.timing import timed
from cosyrt.lab.workload import (
    Length,
    TimedStages,
    Workload,
    read_probabilities,
    seconds_of,
    settle,
    stage_calls,
)
from cosyrt.models.velocity import FlowInputs
from tests.accel.fake_cuda import SECOND, Cards

SAID = Length(61, 31, False)


class Growing:
    """Stages whose step takes a second for each position it looks back on, by a clock of their own."""

    def __init__(self, plain: Stages) -> None:
        self.now = 0.0
        self.plain = plain
        self.stages = plain._replace(step=self.step, prefill=self.prefill)

    def step(self, *args: Any) -> Tensor:
        """A second a position."""
        self.now += size_of("step", args)
        return self.plain.step(*args)

    def prefill(self, *args: Any) -> Tensor:
        """A thousand seconds."""
        self.now += 1000.0
        return self.plain.prefill(*args)

    def clock(self) -> float:
        """Seconds."""
        return self.now


def test_steps_that_become_dearer_are_seen(workload: Workload) -> None:
    """A few steps at the beginning, in the middle and at the end give what all of them take."""
    growing, said = Growing(workload.model.plain), workload.utterance(SAID)
    calls = stage_calls(workload.model, growing.stages, "llm", said, growing.clock)
    steps = [call for call in calls if call.stage == "step"]
    start = min(call.size for call in steps)
    every = range(start, start + len(said.speech) - 1)

    assert len(steps) < len(every) / 3
    assert max(call.size for call in steps) == every[-1]
    assert all(call.seconds == call.size for call in steps)
    assert seconds_of(workload.model, "llm", said, calls) == pytest.approx(1000 + sum(every), rel=0.01)


def test_a_short_utterance_is_measured_whole(workload: Workload) -> None:
    """Where there are fewer steps than would be timed, each is, and none twice."""
    growing, said = Growing(workload.model.plain), workload.utterance(Length(4, 0, False))
    calls = stage_calls(workload.model, growing.stages, "llm", said, growing.clock)

    assert sorted(call.stage for call in calls) == ["prefill", "step", "step", "step"]


def test_the_sizes_of_calls(workload: Workload) -> None:
    """A step grows with what it looks back on; its token is always one."""
    token, mask = torch.zeros(1, dtype=torch.long), torch.ones(1, 1, 1, 77, dtype=torch.bool)

    assert size_of("step", (token, token, mask)) == 77
    assert size_of("encode", (torch.zeros(2, 5),)) == 10


def test_reading_while_speaking_is_verified(workload: Workload) -> None:
    """A backend whose `read` alone is wrong is refused."""
    said = workload.utterance(SAID)
    wrong = workload.model.plain._replace(read=lambda *args: workload.model.plain.read(*args).roll(1, -1))

    assert len(read_probabilities(workload.model, workload.model.plain, said)) == 12
    assert verify(workload.model, "llm", "exact", workload.model.plain, [said]).passed
    assert not verify(workload.model, "llm", "quantised", wrong, [said]).passed


def test_the_card_of_the_model_is_waited_for(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first one, which has nothing to do: before a call, and after it."""
    cards = Cards(monkeypatch)
    fast = workload.model.plain._replace(velocity=lambda inputs, cache: inputs.x)
    TimedStages(fast, "velocity", SECOND).stages.velocity(FlowInputs(*[torch.zeros(1)] * 7), None)

    assert cards.settled == [SECOND, SECOND]


def test_an_encoder_call_waits_for_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's experiment reads the clock when the device of the experiment has done its work."""
    cards = Cards(monkeypatch)
    timed(lambda x: x, settle=partial(settle, SECOND))(0)

    assert cards.settled == [SECOND, SECOND]


def test_memory_is_that_of_the_card_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that was reserved on it."""
    reserved = {None: 0, SECOND: 3 << 20}
    model = SimpleNamespace(device=SECOND)
    speaking = SimpleNamespace(say=lambda *args, **options: None, model=model)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda where=None: reserved[where])
    monkeypatch.setattr(bench, "Model", SimpleNamespace(open=lambda *args: model))
    monkeypatch.setattr(bench, "Pipeline", lambda model: speaking)

    assert fresh_process("", "cuda:1", "eager", "Hello.", None).gpu_peak_mb == 3  # type: ignore[arg-type]
