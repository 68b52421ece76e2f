"""What is measured stands for the whole utterance, also where calls become dearer as it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import size_of
from cosyrt.engine.stages import Stages
from cosyrt.lab import bench, reenact
from cosyrt.lab.bench import alone
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Clock, Length, Subject, calls_of, read_probabilities, seconds_of
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


def test_steps_that_become_dearer_are_seen(subject: Subject) -> None:
    """A few steps at the beginning, in the middle and at the end give what all of them take."""
    growing, said = Growing(subject.plain), subject.utterance(SAID)
    calls = calls_of(subject, growing.stages, "llm", said, growing.clock)
    steps = [call for call in calls if call.stage == "step"]
    start = min(call.size for call in steps)
    every = range(start, start + len(said.speech) - 1)

    assert len(steps) < len(every) / 3
    assert max(call.size for call in steps) == every[-1]
    assert all(call.seconds == call.size for call in steps)
    assert seconds_of(subject, "llm", said, calls) == pytest.approx(1000 + sum(every), rel=0.01)


def test_a_short_utterance_is_measured_whole(subject: Subject) -> None:
    """Where there are fewer steps than would be timed, each is, and none twice."""
    growing, said = Growing(subject.plain), subject.utterance(Length(4, 0, False))
    calls = calls_of(subject, growing.stages, "llm", said, growing.clock)

    assert sorted(call.stage for call in calls) == ["prefill", "step", "step", "step"]


def test_the_sizes_of_calls(subject: Subject) -> None:
    """A step grows with what it looks back on; its token is always one."""
    token, mask = torch.zeros(1, dtype=torch.long), torch.ones(1, 1, 1, 77, dtype=torch.bool)

    assert size_of("step", (token, token, mask)) == 77
    assert size_of("encode", (torch.zeros(2, 5),)) == 10


def test_reading_while_speaking_is_verified(subject: Subject) -> None:
    """A backend whose `read` alone is wrong is refused."""
    said = subject.utterance(SAID)
    wrong = subject.plain._replace(read=lambda *args: subject.plain.read(*args).roll(1, -1))

    assert len(read_probabilities(subject, subject.plain, said)) == 12
    assert verify(subject, "llm", "exact", subject.plain, [said]).passed
    assert not verify(subject, "llm", "quantised", wrong, [said]).passed


def test_the_card_of_the_model_is_waited_for(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first one, which has nothing to do: before a call, and after it."""
    cards = Cards(monkeypatch)
    fast = subject.plain._replace(velocity=lambda inputs, cache: inputs.x)
    Clock(fast, "velocity", SECOND).stages.velocity(FlowInputs(*[torch.zeros(1)] * 7), None)

    assert cards.settled == [SECOND, SECOND]


def test_a_reenacted_call_waits_for_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of its input."""
    cards = Cards(monkeypatch)
    reenact._timed(lambda x: x, SimpleNamespace(is_cuda=True, device=SECOND))  # type: ignore[arg-type]

    assert cards.settled == [SECOND]


def test_memory_is_that_of_the_card_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that was reserved on it."""
    reserved = {None: 0, SECOND: 3 << 20}
    speaking = SimpleNamespace(say=lambda *args, **options: None, where=SECOND)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda where=None: reserved[where])
    monkeypatch.setattr(bench, "load", lambda *args, **options: speaking)

    assert alone(None, "cuda:1", "eager", "Hello.", None).gpu_peak_mb == 3  # type: ignore[arg-type]
