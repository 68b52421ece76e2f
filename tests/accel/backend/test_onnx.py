"""ONNX Runtime: each part equals eager, at lengths the graph was not made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cosyrt.accel.backend.onnx import Session, build, export
from cosyrt.accel.registry import BACKENDS
from cosyrt.engine.model import Model
from cosyrt.errors import UsageError
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload

SAID = [Length(31, 0, False), Length(110, 31, True)]


@pytest.mark.slow
@pytest.mark.parametrize("part", BACKENDS["onnxruntime"].parts)
def test_every_part_equals_eager(workload: Workload, part: str) -> None:
    """Whole and streamed over several chunks: the exact class."""
    backend = BACKENDS["onnxruntime"]
    stages = backend.build(part, workload.model)  # type: ignore[arg-type]
    parity = verify(workload.model, part, "exact", stages, [workload.utterance(length) for length in SAID])  # type: ignore[arg-type]

    assert parity.passed, parity.why


@pytest.mark.slow
def test_the_velocity_of_cosyvoice_3_equals_eager(tiny3_folder: Path) -> None:
    """The exporter takes no size of a norm that is not fixed."""
    workload = Workload(Model.open(str(tiny3_folder), "cpu"))
    stages = build("velocity", workload.model)
    parity = verify(
        workload.model, "velocity", "exact", stages, [workload.utterance(length) for length in SAID]
    )

    assert parity.passed, parity.why


class Halves(nn.Module):
    """Gives two tensors, and does not need its second argument."""

    def forward(self, x: Tensor, unused: Tensor) -> tuple[Tensor, Tensor]:
        return x / 2, x.sum(dim=0)


def test_sizes_are_free_and_arguments_may_be_unused() -> None:
    """A graph made with one size runs any other."""
    session = Session(Halves(), (torch.randn(2, 3), torch.randn(1)))
    x = torch.randn(7, 5)
    half, total = session(x, torch.randn(1))

    assert torch.allclose(half, x / 2) and torch.allclose(total, x.sum(dim=0), atol=1e-5)


def test_what_onnx_cannot_say_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the reason; the exporter's own pages of graph are not shown."""

    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.lu(x)[0]

    with pytest.raises(UsageError, match="cannot say this graph"):
        export(Odd(), (torch.randn(3, 3),), tmp_path / "odd.onnx")
    assert capsys.readouterr().out == ""


def test_there_is_none_on_a_gpu() -> None:
    """Off the CPU it says so."""
    assert not BACKENDS["onnxruntime"].availability(torch.device("meta")).ok
