"""From a folder to archives: names, checks, and what is left behind when something fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import ArchiveError, UsageError
from cosyrt.families import COSYVOICE3
from cosyrt.lab import export as exporting
from cosyrt.lab.export import EXPORT_STEPS, Exported, export


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_names_are_upstreams(exported: dict[str, Exported]) -> None:
    """Two archives, each with a manifest beside it, and nothing else."""
    assert names(exported["fp32"].path.parent) == {
        "flow.encoder.fp32.zip",
        "flow.encoder.fp32.json",
        "flow.encoder.fp16.zip",
        "flow.encoder.fp16.json",
    }


def test_what_was_measured_is_written_down(exported: dict[str, Exported]) -> None:
    """Sums in another order for float32, eleven bits for float16."""
    assert 0 < exported["fp32"].manifest.error < 1e-5
    assert 1e-5 < exported["fp16"].manifest.error < 1e-2
    assert exported["fp16"].manifest.methods == ["forward", "forward_chunk"]
    assert exported["fp16"].bytes < exported["fp32"].bytes


def test_a_wrong_archive_gets_no_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the fresh process finds too far off is not kept, nor is anything else."""
    monkeypatch.setitem(exporting.DTYPES, "fp32", exporting.DTYPES["fp16"])

    with pytest.raises(ArchiveError, match="named fp32 and holds float16"):
        export(ModelFolder.open(tiny_folder), out=tmp_path, precisions=["fp32"])
    assert names(tmp_path) == set()


def test_each_step_is_told(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress bar can follow; the last step is the check."""
    monkeypatch.setattr(exporting, "check_archive", lambda *files: 0.0)
    told: list[tuple[str, str]] = []
    export(
        ModelFolder.open(tiny_folder),
        out=tmp_path,
        precisions=["fp16"],
        on_step=lambda name, step: told.append((name, step)),
    )

    assert told == [("flow.encoder.fp16.zip", step) for step in EXPORT_STEPS]


def test_a_place_that_cannot_be_written_is_said_before_any_work(tiny_folder: Path, tmp_path: Path) -> None:
    """A file where the folder should be, as a read-only disk would answer."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(UsageError, match="give another folder with --out"):
        export(ModelFolder.open(tiny_folder), out=tmp_path / "taken")


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of Unix stands for a full disk")
@pytest.mark.parametrize("full_at", ["begin", "save"])
def test_a_disk_that_fills_up_is_told(tiny_folder: Path, tmp_path: Path, full_at: str) -> None:
    """While the cases are written, for which torch has a RuntimeError, or the archive; nothing is left."""
    program = """
import resource, sys
from pathlib import Path
from cosyrt.lab.export import export
from cosyrt.checkpoint.folder import ModelFolder

def step(name, doing):
    if doing == sys.argv[3]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

step("", "begin")
export(ModelFolder.open(sys.argv[1]), out=Path(sys.argv[2]), on_step=step)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tiny_folder), str(tmp_path), full_at]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"cosyrt.errors.UsageError: cannot write in {tmp_path}: "), done.stderr
    assert last.endswith("make room, or give another folder with --out")
    assert names(tmp_path) == set()


def test_an_error_of_ours_is_not_taken_for_one_of_the_place(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what goes wrong while something is written is about where it is written."""

    def lost(*_: Path) -> float:
        raise FileNotFoundError("python")

    monkeypatch.setattr(exporting, "check_archive", lost)
    with pytest.raises(FileNotFoundError, match="python"):
        export(ModelFolder.open(tiny_folder), out=tmp_path, precisions=["fp32"])
    assert names(tmp_path) == set()


def test_a_precision_that_is_none(tiny_folder: Path) -> None:
    """The known ones are named."""
    with pytest.raises(UsageError, match="no precision fp8; give fp32 or fp16"):
        export(ModelFolder.open(tiny_folder), precisions=["fp8"])


def test_cosyvoice_3_has_nothing_to_export(tmp_path: Path) -> None:
    """No file is written, and there is a word about what helps instead."""
    folder = ModelFolder(tmp_path, "cosyvoice3", {})

    assert export(folder) == []
    assert "DiT" in COSYVOICE3.instead_of_archives
    assert names(tmp_path) == set()
