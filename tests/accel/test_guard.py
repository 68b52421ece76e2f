"""The guard: a backend that raises, gives NaN, hangs or becomes slow never reaches the listener."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyrt.accel import guard
from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.guard import GuardConfig, Workers, expected_s, guarded
from cosyrt.accel.plan import Planned
from cosyrt.accel.registry import BACKENDS
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.lab.workload import Length, Workload, log_probabilities, mel_of
from tests.accel.fake_cuda import FIRST, SECOND, Cards, FakeStream
from tests.engine.pipelines import SHORT, Counted, other

MODEL = "a model of the tests"
STREAMED = Length(110, 31, True)


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No part is given up yet, nothing has happened."""
    monkeypatch.setattr(guard, "_disabled", set())
    monkeypatch.setattr(guard, "events", type(guard.events)())


def watched(plain: Stages, fast: Stages, part: Part, *, planned_s: float = 100.0, **options: Any) -> Stages:
    calls = {name: [(1, planned_s), (100_000, planned_s)] for name in PARTS[part]}
    return guarded(MODEL, plain, fast, {part: Planned(backend="odd", speedup=2.0, calls=calls)}, **options)


def nan(stage: Callable[..., Tensor], after: int) -> Callable[..., Tensor]:
    """The stage, whose result is NaN, and whose memory is spoilt, from that call on."""
    calls = iter(range(1_000_000))

    def call(*args: Any) -> Tensor:
        out = stage(*args)
        return out * float("nan") if next(calls) >= after else out

    return call


def test_a_stage_works_where_its_caller_does(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the card and the stream that are current there; a new thread would begin on the first card."""
    cards = Cards(monkeypatch)
    asked = FakeStream(SECOND)
    seen: list[tuple[torch.device, object]] = []

    def stage(x: Any) -> Tensor:
        seen.append((cards.current, cards.streams.get(SECOND)))
        return torch.zeros(1)

    stages = watched(workload.model.plain, workload.model.plain._replace(velocity=stage), "velocity")
    cards.streams[SECOND] = asked
    call: Any = stages.velocity
    call(SimpleNamespace(device=SECOND, numel=lambda: 1))

    assert seen == [(SECOND, asked)] and cards.current == FIRST


def test_a_healthy_backend_is_let_be(workload: Workload, caplog: pytest.LogCaptureFixture) -> None:
    """The same mel as without the guard, and not a word."""
    stages = watched(workload.model.plain, workload.model.plain, "velocity")
    said = workload.utterance(STREAMED)

    assert torch.equal(
        mel_of(workload.model, stages, said), mel_of(workload.model, workload.model.plain, said)
    )
    assert not guard.events and not caplog.messages


@pytest.mark.parametrize(("part", "stage"), [("velocity", "velocity"), ("encode", "encode")])
@pytest.mark.parametrize("after", [0, 3])
def test_nan_in_the_middle_of_a_stream_is_done_again(
    workload: Workload, part: Part, stage: str, after: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is repeated the plain way from the memory it found: the mel is that of the plain way."""
    said = workload.utterance(STREAMED)
    bad = Counted(nan(getattr(workload.model.plain, stage), after))
    stages = watched(workload.model.plain, workload.model.plain._replace(**{stage: bad}), part)
    with caplog.at_level(logging.ERROR):
        mel = mel_of(workload.model, stages, said)

    assert torch.allclose(mel, mel_of(workload.model, workload.model.plain, said), atol=1e-5)
    assert bad.calls == after + 1
    assert [event.kind for event in guard.events] == ["not finite"]
    assert len(caplog.messages) == 1 and f"part={part}" in caplog.text


@pytest.mark.parametrize("fail_at", [1, 5])
def test_a_step_that_raises_is_done_again(workload: Workload, fail_at: int) -> None:
    """The expectations are those of the plain way, and the backend is not asked again."""
    said = workload.utterance(Length(20, 0, False))
    bad = Counted(workload.model.plain.step, fail_at=fail_at)
    stages = watched(workload.model.plain, workload.model.plain._replace(step=bad), "llm")
    found = log_probabilities(workload.model, stages, said, 12)

    assert torch.allclose(found, log_probabilities(workload.model, workload.model.plain, said, 12), atol=1e-5)
    assert bad.calls == fail_at
    assert [event.kind for event in guard.events] == ["raised"]


@pytest.mark.parametrize(("part", "stage"), [("llm", "step"), ("velocity", "velocity")])
def test_a_state_of_16_bits_is_gone_on_from(workload: Workload, part: Part, stage: str) -> None:
    """When half weights are given up in the middle, the plain way goes on from caches that they made."""
    said = workload.utterance(STREAMED)
    half = BACKENDS["bf16"].build(part, workload.model)
    bad = Counted(getattr(half, stage), fail_at=12)
    stages = watched(workload.model.plain, half._replace(**{stage: bad}), part)
    run = mel_of if part == "velocity" else lambda s, way, u: log_probabilities(s, way, u, 24)
    found, plain = run(workload, stages, said), run(workload, workload.model.plain, said)

    assert bad.calls == 12 and sum(guard.events.values()) == 1
    assert 0 < float((found - plain).abs().mean()) < 0.05


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set when the test is over, so that a hanging thread goes home."""
    event = threading.Event()
    yield event
    event.set()


def test_a_backend_that_hangs_ends_the_utterance_and_not_the_next(
    tiny: Pipeline, release: threading.Event
) -> None:
    """An error with what to do, no sound; said again, it is said the plain way."""

    def hangs(*args: Any) -> Tensor:
        release.wait(60)
        return tiny.model.stages.velocity(*args)

    config = GuardConfig(hangs_s=0.2, hangs=0.0)
    stages = watched(tiny.model.stages, tiny.model.stages._replace(velocity=hangs), "velocity", config=config)
    tts = other(tiny, velocity=stages.velocity)
    with pytest.raises(SpeechError, match=r"velocity by odd did not answer.*say it again"):
        tts.say(SHORT)

    assert np.array_equal(tts.say(SHORT).samples, tiny.say(SHORT).samples)
    assert [event.kind for event in guard.events] == ["hung"]


def test_a_backend_that_becomes_slow_is_replaced(workload: Workload) -> None:
    """After a window of calls that take many times the plan, and not after a few."""
    now = iter(range(1_000_000))
    bad = Counted(workload.model.plain.step)
    stages = watched(
        workload.model.plain,
        workload.model.plain._replace(step=bad),
        "llm",
        planned_s=0.01,
        config=GuardConfig(window=6),
        clock=lambda: float(next(now)),
    )
    log_probabilities(workload.model, stages, workload.utterance(Length(30, 0, False)), 25)

    assert bad.calls == 5  # the prompt's call is in the window, too
    assert [event.kind for event in guard.events] == ["slow"]


def test_it_is_for_the_rest_of_the_process(workload: Workload) -> None:
    """The model loaded once more does not try the part again; another model does."""
    bad = workload.model.plain._replace(velocity=nan(workload.model.plain.velocity, 0))
    mel_of(
        workload.model,
        watched(workload.model.plain, bad, "velocity"),
        workload.utterance(Length(20, 0, False)),
    )

    assert guard.disabled(MODEL, "velocity")
    assert not guard.disabled(MODEL, "llm") and not guard.disabled("another", "velocity")


def test_what_a_call_should_take() -> None:
    """Measured sizes as measured, a line between them, a square beyond, nothing known where nothing was."""
    calls = [(10, 1.0), (20, 2.0)]

    assert [expected_s(calls, size) for size in (5, 10, 15, 20, 40)] == [1.0, 1.0, 1.5, 2.0, 8.0]
    assert expected_s([], 10) is None


def test_workers_are_used_again_and_left_behind(release: threading.Event) -> None:
    """One thread serves one call after another; the one that hangs is not waited for."""
    workers = Workers()
    names = {workers.run(lambda: torch.tensor(threading.get_ident()), 5.0).item() for _ in range(5)}
    assert len(names) == 1

    with pytest.raises(guard.Hung):
        workers.run(lambda: torch.tensor(release.wait(60)), 0.05)
    assert workers.run(lambda: torch.tensor(threading.get_ident()), 5.0).item() not in names


def test_workers_end_with_their_model() -> None:
    """No thread waits for calls that cannot come."""
    before = set(threading.enumerate())
    workers = Workers()
    workers.run(lambda: torch.zeros(1), 5.0)
    (thread,) = set(threading.enumerate()) - before
    del workers
    thread.join(5)
    assert not thread.is_alive()
