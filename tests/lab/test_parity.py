"""Verification: what is right passes its class, what is wrong is caught and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part
from cosyrt.lab.parity import Distances, Parity, divergence, verify, why_not
from cosyrt.lab.workload import Length, Subject
from cosyrt.models.layers import StreamCache
from cosyrt.models.velocity import FlowInputs

STREAMED = Length(110, 31, True)


def twisted(subject: Subject, stage: str, twist: Callable[[Tensor], Tensor]) -> Any:
    plain = getattr(subject.plain, stage)
    return subject.plain._replace(**{stage: lambda *args: twist(plain(*args))})


@pytest.mark.parametrize("part", sorted(PARTS))
def test_the_plain_way_passes_the_exact_class(subject: Subject, part: Part) -> None:
    """Eager against eager: no distance at all."""
    parity = verify(subject, part, "exact", subject.plain, [subject.utterance(STREAMED)])

    assert parity.passed
    assert parity.distances == Distances()


@pytest.mark.parametrize(
    ("part", "stage"), [("llm", "step"), ("encode", "encode"), ("velocity", "velocity"), ("vocode", "vocode")]
)
def test_what_is_not_finite_never_passes(subject: Subject, part: Part, stage: str) -> None:
    """One NaN in a stage's output fails the loosest class."""
    stages = twisted(subject, stage, lambda y: y.index_fill(-1, torch.tensor([0]), float("nan")))
    parity = verify(subject, part, "quantised", stages, [subject.utterance(Length(20, 0, False))])

    assert not parity.passed
    assert "not finite" in parity.why


def test_small_errors_that_add_up_are_caught(subject: Subject) -> None:
    """A velocity off by a part in two thousand is too far for the exact class; half weights may be so far."""
    stages = twisted(subject, "velocity", lambda y: y * 1.0005)
    said = [subject.utterance(Length(20, 0, False))]

    assert "call" in verify(subject, "velocity", "exact", stages, said).why
    assert verify(subject, "velocity", "half", stages, said).passed


@pytest.fixture
def switches() -> Iterator[Callable[[], tuple[bool, bool]]]:
    """Which libraries may use TF32, now: convolutions, as is torch's default, and products."""

    def now() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = now()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield now
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("raises", [False, True])
def test_both_ways_are_compared_without_tf32(
    subject: Subject, switches: Callable[[], tuple[bool, bool]], raises: bool
) -> None:
    """A way that does without it would not be like eager; afterwards all is as before, whatever happened."""
    seen: set[tuple[bool, bool]] = set()

    def watched(*args: Any) -> Tensor:
        seen.add(switches())
        if raises:
            raise ZeroDivisionError
        return subject.plain.velocity(*args)

    stages = subject.plain._replace(velocity=watched)
    with pytest.raises(ZeroDivisionError) if raises else nullcontext():
        verify(subject, "velocity", "exact", stages, [subject.utterance(Length(20, 0, False))])

    assert seen == {(False, False)} and switches() == (True, True)


def test_a_lost_chunk_mask_is_caught_in_the_stream(subject: Subject) -> None:
    """Frames that see what they should not are right in a whole utterance, and wrong in a streamed one."""

    def all_seeing(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        return subject.plain.velocity(inputs._replace(mask=torch.ones_like(inputs.mask)), cache)

    stages = subject.plain._replace(velocity=all_seeing)

    assert verify(subject, "velocity", "exact", stages, [subject.utterance(Length(66, 31, False))]).passed
    assert not verify(subject, "velocity", "exact", stages, [subject.utterance(STREAMED)]).passed


def test_the_reason_names_the_limit() -> None:
    """What is apart, how far, and how far it may be; a NaN is over every limit."""
    assert why_not("half", Distances(solve=0.2)).startswith("solve: 0.2 apart, 0.02 is the most")
    assert why_not("half", Distances(call=float("nan"))).startswith("call")
    assert why_not("half", Distances()) == ""


def test_divergence_is_zero_for_the_same_and_grows() -> None:
    """Mean over tokens of what is lost by drawing from the other distribution, in nats."""
    logp = torch.tensor([[0.5, 0.5]]).log()
    other = torch.tensor([[0.9, 0.1]]).log()

    assert divergence(logp, logp) == 0
    assert divergence(logp, other) == pytest.approx(0.5108, abs=1e-4)


def test_verdicts_beside_each_other_keep_the_worst() -> None:
    """The less exact class, the larger distances, the first objection."""
    one = Parity(precision="half", distances=Distances(call=0.1))
    two = Parity(precision="exact", distances=Distances(solve=0.2), why="no")

    assert one.beside(two) == Parity(precision="half", distances=Distances(call=0.1, solve=0.2), why="no")
