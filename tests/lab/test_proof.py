"""The proof finds an archive that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.accel.torchscript.cases import Case
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported
from cosyrt.lab.proof import prove, write_cases


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
        prove(exported["fp32"].path, tiny_folder / "flow.safetensors", written(tmp_path / "c", case))


def test_a_lost_method_is_told(exported: dict[str, Exported], tiny_folder: Path, tmp_path: Path) -> None:
    """A streaming call that the archive no longer has."""
    case = Case("forward_step", (torch.zeros(1),), [torch.zeros(1)])

    with pytest.raises(ArchiveError, match="lost the methods forward_step"):
        prove(exported["fp32"].path, tiny_folder / "flow.safetensors", written(tmp_path / "c", case))
