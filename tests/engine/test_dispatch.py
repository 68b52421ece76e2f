"""The next turn of many: whom it serves, who shares its call, and what becomes of a batch that raises."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cosyrt.engine.active import Active, Work
from cosyrt.engine.dispatch import FEWER_S, PACKED, PART_POSITIONS, Dispatcher, Turn, is_out_of_memory
from cosyrt.engine.feed import OpenFeed
from cosyrt.engine.need import Need
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Rows
from cosyrt.engine.ticket import Ticket
from cosyrt.models.velocity import FlowInputs
from tests.engine.pipelines import TEXT
from tests.engine.quick import quick

NOW_S = 0.0


def crowd(tts: Pipeline, requests: list[Request]) -> list[Active]:
    """Active requests whose text was read, in one cache but for those that are exact."""
    model = tts.model
    rows = Rows(model.stages, model.settings.decoding, model.device, capacity=len(requests))
    made = []
    for request in requests:
        source = tts.open(request)
        active = Active(Ticket(request, "", lambda: None), OpenFeed(source))
        active.utterance = tts.utterance(source, None if request.exact else rows)
        active.read_text()
        made.append(active)
    return made


def streams(count: int, **how: Any) -> list[Request]:
    return [Request(text=TEXT, seed=seed, streamed=True, **how) for seed in range(count)]


def taken(dispatcher: Dispatcher, turn: Turn) -> dict[Active, Exception]:
    """Take a turn from its beginning to its end."""
    dispatcher.start(turn)
    return dispatcher.finish(turn, dispatcher.run(turn))


def run_until(active: list[Active], need: Need) -> None:
    """Run each alone until that is what it needs."""
    dispatcher = Dispatcher()
    for each in active:
        while each.utterance is not None and each.utterance.need is not need:
            assert taken(dispatcher, Turn(each.utterance.need, [each])) == {}


def test_rows_that_speak_are_read_together(tiny: Pipeline) -> None:
    """One lead's text is read in parts, in the same turn as the steps of all who speak already."""
    speaking, new = crowd(quick(tiny), streams(3))[:2], crowd(quick(tiny), streams(1))[0]
    for each in speaking:
        assert taken(Dispatcher(), Turn(Need.READ, [each])) == {}
    turn = Dispatcher().choose([*speaking, new], NOW_S)

    assert turn is not None and turn.need is Need.READ and turn.most == PART_POSITIONS
    assert set(turn.members) >= set(speaking)


def test_one_alone_reads_its_text_at_once(tiny: Pipeline) -> None:
    """Where there is nobody whom a long text could stall, it is read in one turn, as without a scheduler."""
    turn = Dispatcher().choose(crowd(quick(tiny), streams(1)), NOW_S)

    assert turn is not None and turn.most is None


def test_an_exact_request_shares_nothing(tiny: Pipeline) -> None:
    """Neither as the lead nor beside another is it in a batch, and its text is read at once."""
    *others, exact = crowd(quick(tiny), [*streams(3), *streams(1, exact=True)])
    for need in (Need.READ, Need.ENCODE, Need.SOLVE):
        run_until([exact, *others], need)
        led = Dispatcher().choose([exact], NOW_S)
        shared = Dispatcher().choose([*others, exact], NOW_S)
        exact.ticket.submitted -= 60.0  # it came before all others
        first = Dispatcher().choose([*others, exact], NOW_S)
        exact.ticket.submitted += 60.0
        assert led is not None and first is not None and shared is not None
        assert led.members == first.members == [exact] and led.most is first.most is None
        assert len(shared.members) > 1 and exact not in shared.members


def test_chunks_that_are_due_are_packed(tiny: Pipeline) -> None:
    """Euler steps of a few streams are one turn, but of no more than a call should have."""
    active = crowd(quick(tiny), streams(PACKED + 2))
    run_until(active, Need.SOLVE)
    turn = Dispatcher().choose(active, NOW_S)

    assert turn is not None and (turn.need, len(turn.members)) == (Need.SOLVE, PACKED)


def test_nobody_is_made_late_by_company(tiny: Pipeline) -> None:
    """A stream whose audio runs dry soon is solved without those for which there is no time."""
    active = crowd(quick(tiny), streams(3))
    run_until(active, Need.SOLVE)
    dispatcher = Dispatcher()
    for work in Work:
        dispatcher.costs.add(work, 50, 0.5)
    urgent = active[0]
    urgent.playback.give(1.0, NOW_S)
    turn = dispatcher.choose(active, NOW_S + 0.2)

    assert turn is not None and turn.members == [urgent]


def test_tokens_for_later_are_read_beside_a_chunk(tiny: Pipeline) -> None:
    """A worker that finds all audio in others' hands reads on, but not beside the first audio of one."""
    active = crowd(quick(tiny), streams(2))
    run_until(active, Need.SOLVE)
    dispatcher = Dispatcher(workers=2)
    turn = dispatcher.choose(active, NOW_S)
    assert turn is not None and (turn.need, turn.members) == (Need.SOLVE, active)
    dispatcher.start(turn)
    assert dispatcher.choose(active[:1], NOW_S) is None
    ahead = dispatcher.choose(active, NOW_S)
    assert ahead is not None and (ahead.need, ahead.members) == (Need.READ, active)

    made = [len(each.utterance.tokens.made) for each in active]  # type: ignore[union-attr]
    dispatcher.start(ahead)
    assert dispatcher.choose(active, NOW_S) is None
    assert dispatcher.finish(ahead, dispatcher.run(ahead)) == {}
    assert dispatcher.finish(turn, dispatcher.run(turn)) == {}
    assert [len(each.utterance.tokens.made) for each in active] == [n + 1 for n in made]  # type: ignore[union-attr]
    assert not dispatcher.under_way and all(dispatcher.is_free(each) for each in active)


def test_a_turn_that_leaves_nothing_to_others_has_all_cores(tiny: Pipeline) -> None:
    """Flow and vocoder have them before the first audio of one alone, and behind its last token."""
    dispatcher, found = Dispatcher(workers=2), set[tuple[Need, bool, bool]]()
    (active,) = crowd(quick(tiny), streams(1))
    assert active.utterance is not None
    while active.utterance.need is not Need.NOTHING:
        turn = dispatcher.choose([active], NOW_S)
        assert turn is not None
        found.add((turn.need, active.playback.began_s is not None, turn.alone))
        assert taken(dispatcher, turn) == {}
        active.settle(NOW_S)
        active.read_text()

    first = {(need, alone) for need, begun, alone in found if not begun}
    audio = (Need.ENCODE, Need.SOLVE, Need.VOCODE)
    assert first == {(Need.READ, False), *((need, True) for need in audio)}
    assert (Need.VOCODE, True, True) in found and (Need.READ, True, True) not in found
    (other,) = crowd(quick(tiny), streams(1))
    run_until([other], Need.SOLVE)
    for workers in (1, 2):
        turn = Dispatcher(workers=workers).choose([other], NOW_S)
        assert turn is not None and turn.alone == (workers == 2)


def test_what_is_under_way_is_left_alone(tiny: Pipeline) -> None:
    """While rows are read none is read by another worker; a chunk that is solved is nobody else's."""
    *reading, solving = crowd(quick(tiny), streams(3))
    run_until([solving], Need.SOLVE)
    dispatcher = Dispatcher(workers=2)
    first = dispatcher.choose(reading, NOW_S)
    assert first is not None and first.need is Need.READ
    dispatcher.start(first)
    second = dispatcher.choose([*reading, solving], NOW_S)

    assert second is not None and (second.need, second.members) == (Need.SOLVE, [solving])
    dispatcher.start(second)
    assert dispatcher.choose([*reading, solving], NOW_S) is None
    assert not any(dispatcher.is_free(each) for each in [*reading, solving])
    dispatcher.abandon()
    assert dispatcher.is_free(solving)


def failing_together(stage: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """A stage that cannot take two rows."""

    def fail(first: torch.Tensor, *rest: Any) -> Any:
        if len(first) > 1:
            raise error
        return stage(first, *rest)

    return fail


def test_a_batch_that_raises_is_run_one_by_one(tiny: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """A backend that cannot take several rows costs nobody a request, and says so in the log."""
    step = quick(tiny).model.stages.step
    active = crowd(quick(tiny, step=failing_together(step, ZeroDivisionError("two rows"))), streams(2))
    for each in active:
        taken(Dispatcher(), Turn(Need.READ, [each]))
    before = [each.utterance.tokens.row.filled for each in active]  # type: ignore[union-attr]
    with caplog.at_level(logging.WARNING):
        assert taken(Dispatcher(), Turn(Need.READ, active)) == {}

    assert "a batch of 2 failed, it is run one by one" in caplog.text
    assert [each.utterance.tokens.row.filled for each in active] == [n + 1 for n in before]  # type: ignore[union-attr]


def test_an_error_that_stays_ends_its_own(tiny: Pipeline) -> None:
    """When a batch raises, only those fail that also fail alone."""

    def velocity(inputs: FlowInputs, cache: Any) -> torch.Tensor:
        if inputs.mu.isnan().any():
            raise ZeroDivisionError("a broken stage")
        return torch.zeros_like(inputs.x)

    active = crowd(quick(tiny, velocity=velocity), streams(3))
    run_until(active, Need.SOLVE)
    bad = active[1].utterance
    assert bad is not None and bad.audio.state is not None
    inputs = bad.audio.state.inputs
    bad.audio.state.inputs = inputs._replace(mu=inputs.mu * torch.nan)
    failed = taken(Dispatcher(), Turn(Need.SOLVE, active))

    assert list(failed) == [active[1]] and isinstance(failed[active[1]], ZeroDivisionError)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    ],
)
def test_batches_stay_small_after_memory_ran_out(
    tiny: Pipeline, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute half as many share a call; then as many as before."""
    step = quick(tiny).model.stages.step
    active = crowd(quick(tiny, step=failing_together(step, error)), streams(4))
    run_all = Dispatcher()
    for each in active:
        taken(run_all, Turn(Need.READ, [each]))
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    taken(run_all, Turn(Need.READ, active))
    during = run_all.choose(active, 100.0 + FEWER_S / 2)
    after = run_all.choose(active, 100.0 + FEWER_S)

    assert is_out_of_memory(error) and not is_out_of_memory(RuntimeError("something else"))
    assert during is not None and after is not None
    assert (len(during.members), len(after.members)) == (2, 4)


def test_what_turns_take_is_learnt(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage costs what it took, by its size; a text beside steps costs what is beyond those."""
    clock = [0.0]

    def step(token: torch.Tensor, *rest: Any) -> Any:
        clock[0] += 0.5
        return quick(tiny).model.stages.step(token, *rest)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    active = crowd(quick(tiny, step=step), streams(2))
    dispatcher = Dispatcher()
    for each in active:
        taken(dispatcher, Turn(Need.READ, [each]))
    for _ in range(3):
        taken(dispatcher, Turn(Need.READ, active))

    assert dispatcher.costs.predict(Work.STEP, 2) == pytest.approx(0.5)
    assert dispatcher.costs.predict(Work.PREFILL, 30) == 0
