"""Spot checks: a backend that is wrong is found while it speaks; one that is right is not disturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel import guard
from cosyrt.accel.contract import Part
from cosyrt.accel.guard import GuardConfig
from cosyrt.accel.registry import BACKENDS
from cosyrt.accel.spot_check import SpotCheck, precision_of
from cosyrt.lab.workload import Length, Workload, log_probabilities, mel_of, samples_of
from tests.accel.test_guard import STREAMED, trusting, watched  # noqa: F401  the fixture is used
from tests.engine.pipelines import Counted

EVERY_CALL = GuardConfig(checked=1e9)
SPOKEN = Length(20, 0, False)


def wrong(stage: Callable[..., Tensor], after: int) -> Callable[..., Tensor]:
    """A stage that is finite and wrong from that call on."""
    calls = iter(range(1_000_000))

    def call(*arguments: Any) -> Tensor:
        out = stage(*arguments)
        return 1.5 * out + 0.1 if next(calls) >= after else out

    return call


def said_by(workload: Workload, part: Part, stages: Any) -> Tensor:
    """What comes of a part: log-probabilities, a streamed mel, or samples."""
    model = workload.model
    if part == "llm":
        return log_probabilities(model, stages, workload.utterance(SPOKEN), 12)
    utterance = workload.utterance(STREAMED)
    if part == "vocode":
        return samples_of(model, stages, mel_of(model, model.plain, utterance))
    return mel_of(model, stages, utterance)


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("llm", "step"),
        ("llm", "prefill"),
        ("encode", "encode"),
        ("velocity", "velocity"),
        ("vocode", "vocode"),
        ("vocode", "pitch"),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
def test_what_is_wrong_is_said_again_by_the_plain_model(
    workload: Workload, part: Part, stage: str, after: int
) -> None:
    """The listener gets what the plain model says, and the part is plain from then on."""
    plain = workload.model.plain
    if stage in ("prefill", "vocode", "pitch") and after:
        pytest.skip("there is one call of it")
    bad = Counted(wrong(getattr(plain, stage), after))
    stages = watched(plain, plain._replace(**{stage: bad}), part, config=EVERY_CALL)

    assert torch.allclose(said_by(workload, part, stages), said_by(workload, part, plain), atol=1e-5)
    assert [event.kind for event in guard.events] == ["wrong"]
    assert bad.calls == after + 1


@pytest.mark.parametrize("part", ["llm", "encode", "velocity", "vocode"])
@pytest.mark.parametrize("backend", ["", "bf16"])
def test_what_is_right_is_not_disturbed(workload: Workload, part: Part, backend: str) -> None:
    """Every call is compared, and says what it says unwatched: inexact is not wrong, and caches stay."""
    model = workload.model
    if backend and part not in BACKENDS[backend].parts:
        pytest.skip("it does not run this part")
    fast = BACKENDS[backend].build(part, model) if backend else model.plain
    stages = watched(model.plain, fast, part, config=EVERY_CALL)

    assert torch.equal(said_by(workload, part, stages), said_by(workload, part, fast))
    assert not guard.events


def test_nothing_is_compared_unless_asked(workload: Workload) -> None:
    """Without a share, the plain stage is never called beside a healthy one."""
    plain = workload.model.plain
    twin = Counted(plain.velocity)
    stages = watched(plain._replace(velocity=twin), plain, "velocity")
    said_by(workload, "velocity", stages)

    assert twin.calls == 0


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_comparing_takes_no_more_than_its_share(share: float) -> None:
    """The first call is compared, then one whenever the share has paid for the last comparison."""
    now = [0.0]
    check = SpotCheck(precision="exact", share=share, clock=lambda: now[0])
    compared_s = 0.0
    for number in range(1_000):
        if check.is_due("velocity", 1.0):
            assert number or not compared_s
            check._credit["velocity"], check._price["velocity"] = 0.0, 3.0  # a comparison of 3 s
            compared_s += 3.0

    assert 0.9 * share * 1_000 <= compared_s <= share * 1_000 + 3.0


def test_noise_is_not_compared() -> None:
    """An excitation may differ in every sample and be right."""
    check = SpotCheck(precision="exact", share=1e9)
    assert not check.is_due("excite", 1.0) and check.is_due("vocode", 1.0)


def test_another_shape_is_wrong(workload: Workload) -> None:
    """An answer of another length is wrong, whatever its values."""
    plain = workload.model.plain

    def longer(*arguments: Any) -> Tensor:
        return torch.nn.functional.pad(plain.vocode(*arguments), (0, 1))

    stages = watched(plain, plain._replace(vocode=longer), "vocode", config=EVERY_CALL)
    said_by(workload, "vocode", stages)
    assert [event.kind for event in guard.events] == ["wrong"]


def test_the_precision_of_a_backend() -> None:
    """A known backend has its class; one that nobody knows is given the widest limits."""
    assert [precision_of(name) for name in ("openvino", "bf16", "odd")] == ["exact", "half", "quantised"]
