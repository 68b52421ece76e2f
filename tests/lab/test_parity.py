"""Verification: what is right passes its class, what is wrong is caught and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.distance import divergence
from cosyrt.accel.torchscript.archive import Case
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported
from cosyrt.lab.parity import (
    Distances,
    Parity,
    as_dtype,
    check_archive,
    flattened,
    verify,
    why_not,
    write_cases,
)
from cosyrt.lab.workload import Length, Workload
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs

STREAMED = Length(110, 31, True)


def twisted(workload: Workload, stage: str, twist: Callable[[Tensor], Tensor]) -> Any:
    plain = getattr(workload.model.plain, stage)
    return workload.model.plain._replace(**{stage: lambda *args: twist(plain(*args))})


@pytest.mark.parametrize("part", sorted(PARTS))
def test_the_plain_way_passes_the_exact_class(workload: Workload, part: Part) -> None:
    """Eager against eager: no distance at all."""
    parity = verify(workload.model, part, "exact", workload.model.plain, [workload.utterance(STREAMED)])

    assert parity.passed
    assert parity.distances == Distances()


@pytest.mark.parametrize(
    ("part", "stage"), [("llm", "step"), ("encode", "encode"), ("velocity", "velocity"), ("vocode", "vocode")]
)
def test_what_is_not_finite_never_passes(workload: Workload, part: Part, stage: str) -> None:
    """One NaN in a stage's output fails the loosest class."""
    stages = twisted(workload, stage, lambda y: y.index_fill(-1, torch.tensor([0]), float("nan")))
    parity = verify(workload.model, part, "quantised", stages, [workload.utterance(Length(20, 0, False))])

    assert not parity.passed
    assert "not finite" in parity.why


def test_small_errors_that_add_up_are_caught(workload: Workload) -> None:
    """A velocity off by a part in two thousand is too far for the exact class; half weights may be so far."""
    stages = twisted(workload, "velocity", lambda y: y * 1.0005)
    said = [workload.utterance(Length(20, 0, False))]

    assert "call" in verify(workload.model, "velocity", "exact", stages, said).why
    assert verify(workload.model, "velocity", "half", stages, said).passed


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
    workload: Workload, switches: Callable[[], tuple[bool, bool]], raises: bool
) -> None:
    """A way that does without it would not be like eager; afterwards all is as before, whatever happened."""
    seen: set[tuple[bool, bool]] = set()

    def watched(*args: Any) -> Tensor:
        seen.add(switches())
        if raises:
            raise ZeroDivisionError
        return workload.model.plain.velocity(*args)

    stages = workload.model.plain._replace(velocity=watched)
    with pytest.raises(ZeroDivisionError) if raises else nullcontext():
        verify(workload.model, "velocity", "exact", stages, [workload.utterance(Length(20, 0, False))])

    assert seen == {(False, False)} and switches() == (True, True)


@pytest.mark.slow
def test_a_lost_chunk_mask_is_caught_in_the_stream(workload: Workload) -> None:
    """Frames that see what they should not are right in a whole utterance, and wrong in a streamed one."""

    def all_seeing(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        return workload.model.plain.velocity(inputs._replace(mask=torch.ones_like(inputs.mask)), cache)

    stages = workload.model.plain._replace(velocity=all_seeing)

    assert verify(
        workload.model, "velocity", "exact", stages, [workload.utterance(Length(66, 31, False))]
    ).passed
    assert not verify(workload.model, "velocity", "exact", stages, [workload.utterance(STREAMED)]).passed


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


PAIR = torch.tensor([1.0, -2.0])


def test_arguments_are_cast_where_they_are_numbers_with_a_point() -> None:
    """Lengths, masks and flags stay what they are, lists are gone through."""
    cast = as_dtype([PAIR, torch.tensor([3]), True], torch.float16)

    assert [getattr(value, "dtype", None) for value in cast] == [torch.float16, torch.int64, None]


def test_nested_answers_are_flattened_in_order() -> None:
    """(output, [memory, memory]) is three tensors."""
    assert [
        int(tensor) for tensor in flattened((torch.tensor(1), [torch.tensor(2), (torch.tensor(3),)]))
    ] == [
        1,
        2,
        3,
    ]


def written(path: Path, *cases: Case) -> Path:
    write_cases(path, cases)
    return path


def test_another_answer_is_told_with_its_size(
    exported: dict[str, Exported], tiny_folder: Path, tmp_path: Path
) -> None:
    """Expecting noise, the archive is whole outputs away, and the line says how far is allowed."""
    x = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(0))
    args = (x, torch.tensor([5]), torch.zeros(0, 0, 0), 0, -1, False)
    case = Case("forward", args, [torch.ones(1, 10, 32), torch.ones(1, 1, 10).bool()])

    with pytest.raises(ArchiveError, match=r"away from the plain model, 0\.0001 is the most"):
        check_archive(exported["fp32"].path, tiny_folder / "flow.safetensors", written(tmp_path / "c", case))


@pytest.mark.slow
def test_a_lost_method_is_told(exported: dict[str, Exported], tiny_folder: Path, tmp_path: Path) -> None:
    """A streaming call that the archive no longer has."""
    case = Case("forward_step", (torch.zeros(1),), [torch.zeros(1)])

    with pytest.raises(ArchiveError, match="lost the methods forward_step"):
        check_archive(exported["fp32"].path, tiny_folder / "flow.safetensors", written(tmp_path / "c", case))
