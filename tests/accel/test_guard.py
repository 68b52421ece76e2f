"""The guard: a backend that raises, gives NaN, hangs or becomes slow never reaches the listener."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from functools import cache
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
from cosyrt.engine.mel_stream import Condition, MelStream
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.lab.workload import Length, Workload, log_probabilities, mel_of
from cosyrt.models.solver import solved, step
from tests.accel.fake_cuda import FIRST, SECOND, Cards, FakeStream
from tests.engine.pipelines import Counted, other, same
from tests.models.test_kv_cache import FORMS
from tests.threads import Started

MODEL = "a model of the tests"
STREAMED = Length(110, 31, True)


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with no part disabled and no event counted."""
    monkeypatch.setattr(guard, "_disabled", set())
    monkeypatch.setattr(guard, "events", type(guard.events)())


def watched(
    plain: Stages, fast: Stages, part: Part, *, planned_s: float = 100.0, streams: int = 1, **options: Any
) -> Stages:
    calls = {name: [(1, planned_s), (100_000, planned_s)] for name in PARTS[part]}
    planned = Planned(backend="odd", speedup=2.0, calls=calls, streams=streams)
    return guarded(MODEL, plain, fast, {part: planned}, **options)


def nan(stage: Callable[..., Tensor], after: int) -> Callable[..., Tensor]:
    """A stage whose result is NaN, and whose stream cache is spoilt, from that call on."""
    calls = iter(range(1_000_000))

    def call(*args: Any) -> Tensor:
        out = stage(*args)
        return out * float("nan") if next(calls) >= after else out

    return call


def test_a_stage_works_where_its_caller_does(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage runs on the card and the stream that are current for its caller, not on the first ones."""
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
    """A backend without faults gives the mel that it gives unwatched, and nothing is logged."""
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
    """The plain stage repeats the call from the stream cache as it was: the mel is that of plain stages."""
    said = workload.utterance(STREAMED)
    bad = Counted(nan(getattr(workload.model.plain, stage), after))
    stages = watched(workload.model.plain, workload.model.plain._replace(**{stage: bad}), part)
    with caplog.at_level(logging.ERROR):
        mel = mel_of(workload.model, stages, said)

    assert torch.allclose(mel, mel_of(workload.model, workload.model.plain, said), atol=1e-5)
    assert bad.calls == after + 1
    assert [event.kind for event in guard.events] == ["not finite"]
    assert len(caplog.messages) == 1 and f"part={part}" in caplog.text


def test_packed_streams_are_done_again_from_what_each_was(workload: Workload) -> None:
    """A call for several streams that fails in the middle leaves no trace in any of their caches."""
    plain = workload.model.plain
    stages = watched(plain, plain._replace(velocity=nan(plain.velocity, 12)), "velocity")

    def mels(stages: Stages) -> list[Tensor]:
        settings, tokens = workload.model.settings, list(range(60))
        streams = [
            MelStream(
                stages,
                settings.flow,
                Condition.of(workload.voice(prompt), stages, workload.model.device),
                chunked=True,
                rates=settings.rates,
            )
            for prompt in (25, 50)
        ]
        parts: list[Tensor] = []
        for boundary in (25, 50):
            chunks = [stream.solving(tokens, boundary) for stream in streams]
            states = [next(chunk) for chunk in chunks]
            while not states[0].done:
                step(stages.velocity, states)
            parts += [solved(stages.velocity, chunk) for chunk in chunks]
        return parts

    for got, want in zip(mels(stages), mels(plain), strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    assert [event.kind for event in guard.events] == ["not finite"]


@pytest.mark.parametrize("fail_at", [1, 5])
def test_a_step_that_raises_is_done_again(workload: Workload, fail_at: int) -> None:
    """Log-probabilities are those of the plain stages, and the backend is not asked again."""
    said = workload.utterance(Length(20, 0, False))
    bad = Counted(workload.model.plain.step, fail_at=fail_at)
    stages = watched(workload.model.plain, workload.model.plain._replace(step=bad), "llm")
    found = log_probabilities(workload.model, stages, said, 12)

    assert torch.allclose(found, log_probabilities(workload.model, workload.model.plain, said, 12), atol=1e-5)
    assert bad.calls == fail_at
    assert [event.kind for event in guard.events] == ["raised"]


@pytest.mark.parametrize(("part", "stage"), [("llm", "step"), ("velocity", "velocity")])
def test_a_state_of_16_bits_is_gone_on_from(workload: Workload, part: Part, stage: str) -> None:
    """When half weights are disabled in the middle, the plain stages go on from caches that they made."""
    said = workload.utterance(STREAMED)
    half = BACKENDS["bf16"].build(part, workload.model)
    bad = Counted(getattr(half, stage), fail_at=12)
    stages = watched(workload.model.plain, half._replace(**{stage: bad}), part)
    run = mel_of if part == "velocity" else lambda s, way, u: log_probabilities(s, way, u, 24)
    model = workload.model
    found, plain = run(model, stages, said), run(model, model.plain, said)

    assert bad.calls == 12 and sum(guard.events.values()) == 1
    assert 0 < float((found - plain).abs().mean()) < 0.05


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event that is set when the test is over, so that a hanging thread ends."""
    event = threading.Event()
    yield event
    event.set()


STAGE: dict[Part, str] = {"llm": "step", "encode": "encode", "velocity": "velocity", "vocode": "vocode"}
WORD = "Hi."  # a few speech tokens
FAIL_AT: dict[Part, int] = {"llm": 5, "encode": 1, "velocity": 3, "vocode": 1}


@pytest.fixture(params=["cosyvoice", "cosyvoice2", "cosyvoice3"])
def tts(request: pytest.FixtureRequest, tiny: Pipeline, tiny1: Pipeline, tiny3: Pipeline) -> Pipeline:
    """A tiny model of each family."""
    return {each.family: each for each in (tiny, tiny1, tiny3)}[request.param]


@cache
def spoken(tts: Pipeline) -> np.ndarray:  # float32 [N]
    """The word by the plain stages."""
    return tts.say(WORD).samples


def failing(tts: Pipeline, part: Part, fast: Stages, fail: Callable[..., Tensor], **options: Any) -> Pipeline:
    """The model with one part run by `fast` under watch, which fails at one call and at all that follow."""
    name, calls = STAGE[part], iter(range(1, 1_000_000))
    stage = getattr(fast, name)

    def call(*args: Any) -> Tensor:
        return fail(stage, args) if next(calls) >= FAIL_AT[part] else stage(*args)

    stages = watched(tts.model.plain, fast.replacing(**{name: call}), part, **options)
    return other(tts, **{name: getattr(stages, name) for name in PARTS[part]})


def broken(stage: Callable[..., Tensor], args: tuple[Any, ...]) -> Tensor:
    """Raise, after the stage has written to its caches."""
    stage(*args)
    raise ZeroDivisionError("a broken stage")


def not_finite(stage: Callable[..., Tensor], args: tuple[Any, ...]) -> Tensor:
    return stage(*args) * torch.nan


@pytest.mark.parametrize(("fail", "kind"), [(broken, "raised"), (not_finite, "not finite")])
@pytest.mark.parametrize("part", PARTS)
def test_a_failure_of_any_part_of_any_family_is_not_heard(
    tts: Pipeline, part: Part, fail: Callable[..., Tensor], kind: str
) -> None:
    """The samples are those of the plain stages, and the part is not asked again."""
    found = failing(tts, part, tts.model.plain, fail).say(WORD)

    assert same(found.samples, spoken(tts), 1e-5)
    assert [event.kind for event in guard.events] == [kind]


@pytest.mark.parametrize("part", PARTS)
def test_any_part_of_any_family_that_becomes_slow_is_replaced(tts: Pipeline, part: Part) -> None:
    """A slow part gave right values so far: they are used, and the plain stages go on."""
    now = iter(range(1_000_000))

    def clock() -> float:
        """Say that a second has passed since it was last asked."""
        return float(next(now))

    stages = watched(
        tts.model.plain,
        tts.model.plain,
        part,
        planned_s=0.01,
        config=GuardConfig(window=1),
        clock=clock,
    )
    slow = other(tts, **{name: getattr(stages, name) for name in PARTS[part]})

    assert same(slow.say(WORD).samples, spoken(tts), 1e-5)
    assert [event.kind for event in guard.events] == ["slow"]


@pytest.mark.parametrize("part", PARTS)
def test_any_part_of_any_family_that_hangs_ends_the_utterance_and_not_the_next(
    tts: Pipeline, part: Part, release: threading.Event
) -> None:
    """The error says what to do; said again, the text is spoken by the plain stages."""

    def hangs(stage: Callable[..., Tensor], args: tuple[Any, ...]) -> Tensor:
        release.wait(60)
        return stage(*args)

    config = GuardConfig(hangs_s=0.2, hangs=0.0)
    hanging = failing(tts, part, tts.model.plain, hangs, config=config)
    with pytest.raises(SpeechError, match=rf"{part} by odd did not answer.*say it again"):
        hanging.say(WORD)

    assert np.array_equal(hanging.say(WORD).samples, spoken(tts))
    assert [event.kind for event in guard.events] == ["hung"]


@pytest.mark.parametrize("fail", [broken, not_finite])
@pytest.mark.parametrize("part", ["llm", "encode", "velocity"])
def test_any_family_goes_on_from_a_state_of_16_bits(
    tts: Pipeline, part: Part, fail: Callable[..., Tensor]
) -> None:
    """When half weights fail in the middle, the plain stages go on from the caches that they made."""
    half = BACKENDS["bf16"].build(part, tts.model)
    audio = failing(tts, part, half, fail).say(WORD)

    assert audio.seconds > 0 and np.isfinite(audio.samples).all()
    assert sum(guard.events.values()) == 1


@pytest.mark.parametrize("form", ["growing", "graph", "half graph"])
def test_plain_stages_go_on_from_the_caches_of_every_backend(tiny: Pipeline, form: str) -> None:
    """A step that fails leaves its cache to the plain stages, whatever form it has."""
    family, make = FORMS[form]
    assert family == tiny.family
    audio = failing(tiny, "llm", make(tiny.model), broken).say(WORD)

    assert sum(guard.events.values()) == 1
    assert form == "half graph" or same(audio.samples, spoken(tiny))


def test_a_cache_that_cannot_be_made_is_a_plain_one(tiny: Pipeline) -> None:
    """When the device has no room for a cache, the utterance is spoken by the plain stages."""

    def new_cache(rows: int, positions: int) -> Any:
        raise MemoryError("no room")

    plain = tiny.model.plain
    stages = watched(plain, plain.replacing(new_cache=new_cache), "llm")
    found = other(tiny, **{name: getattr(stages, name) for name in PARTS["llm"]}).say(WORD)

    assert np.array_equal(found.samples, spoken(tiny))
    assert [event.kind for event in guard.events] == ["raised"]


def test_a_backend_that_becomes_slow_is_replaced(workload: Workload) -> None:
    """A part is disabled after a window of calls that take many times the plan, not after a few."""
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


def test_values_that_are_not_finite_either_way_are_no_fault(workload: Workload) -> None:
    """One utterance of a batch whose cache holds NaN does not take the plan from its neighbours."""
    plain = workload.model.plain
    stages = watched(plain, plain, "llm")
    cache, token = stages.new_cache(2, 20), torch.arange(2)
    with torch.inference_mode():
        for keys, _ in cache.row(1).layers():
            keys.fill_(torch.nan)
    logp = stages.step(token, torch.tensor([3, 3]), torch.ones(2, 1, 1, 4, dtype=torch.bool), cache)

    assert logp[0].isfinite().all() and not logp[1].isfinite().any()
    assert not guard.events and not guard.disabled(MODEL, "llm")


@pytest.mark.parametrize(
    ("streams", "planned_s", "kinds"), [(1, 0.125, []), (2, 0.25, []), (8, 0.125, ["slow"])]
)
def test_more_rows_than_were_measured_may_take_longer(
    workload: Workload, streams: int, planned_s: float, kinds: list[str]
) -> None:
    """A batch of eight may take eight times what was planned for one, and four times what was for two."""
    now, plain = iter(range(1_000_000)), workload.model.plain
    stages = watched(
        plain,
        plain,
        "llm",
        planned_s=planned_s,
        streams=streams,
        config=GuardConfig(window=4, slower=1.9),
        clock=lambda: float(next(now)),
    )
    cache, token = stages.new_cache(8, 20), torch.arange(8)
    for position in range(6):
        mask = torch.ones(8, 1, 1, position + 1, dtype=torch.bool)
        stages.step(token, torch.full((8,), position), mask, cache)

    assert [event.kind for event in guard.events] == kinds


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
    """Measured sizes take what was measured, sizes between follow a line, larger ones a square."""
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
    started = Started()
    workers = Workers()
    workers.run(lambda: torch.zeros(1), 5.0)
    (thread,) = started("cosyrt stage")
    del workers
    thread.join(5)
    assert not thread.is_alive()


def test_a_plan_can_be_rolled_back(workload: Workload) -> None:
    """Somebody may make a part plain: the backend is not called any more, and the event is counted once."""
    plain, calls = workload.model.plain, []

    def vocode(*args: Any) -> Tensor:
        calls.append(args)
        return plain.vocode(*args)

    parts: dict[Part, Planned] = {"vocode": Planned(backend="odd", speedup=2.0)}
    stages = guarded(MODEL, plain, plain.replacing(vocode=vocode), parts)

    assert guard.roll_back(MODEL, parts) == ["vocode"]
    assert guard.roll_back(MODEL, parts) == []
    assert guard.disabled(MODEL, "vocode")
    assert [(event.kind, count) for event, count in guard.events.items()] == [("rolled back", 1)]
    with pytest.raises(TypeError):
        stages.vocode()  # the plain one is asked, which wants its arguments
    assert calls == []
