"""Files of other releases, and libraries that do not belong together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cosyrt.lab.doctor.packages import ONNXRUNTIMES, mislabelled, two_onnxruntimes, version_mismatch
from cosyrt.lab.doctor.setup import Setup
from cosyrt.lab.export import Exported
from cosyrt.machine.facts import Gpu, Machine

LAPTOP = Machine(gpus=(Gpu(name="RTX 2050", memory_mb=4096),), runtimes={"torch": "2.13.0"})


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"torch": "1.13.1"}, "was made by torch 1.13.1"),
        ({"checkpoint_sha256": "0" * 64}, "another checkpoint"),
        ({"methods": "all"}, "a manifest that cannot be read"),
    ],
)
def test_what_the_manifest_says_against_an_archive_is_told(
    healthy: Setup, exported: dict[str, Exported], tmp_path: Path, change: dict[str, object], seen: str
) -> None:
    """Each with what loading it comes to, and the command that makes it again."""
    source = exported["fp32"].path
    path = tmp_path / source.name
    shutil.copy(source, path)
    manifest = json.loads(source.with_suffix(".json").read_text("utf-8")) | change
    path.with_suffix(".json").write_text(json.dumps(manifest), "utf-8")

    found = version_mismatch(replace(healthy, archives=(path,)))

    assert found.status == "confirmed"
    assert seen in found.seen
    assert found.experiment.startswith("opened: ") and "can be loaded" not in found.experiment
    assert "cosyrt export" in found.fix


def test_a_stale_plan_is_told_with_what_changed(healthy: Setup) -> None:
    """The model runs the plain way, and tuning again is the fix; a second mismatch is counted."""
    setup = replace(healthy, plan_objection="torch was 2.12 and is 2.13", machine=LAPTOP)
    found = version_mismatch(setup)

    assert "torch was 2.12 and is 2.13; and 1 more" in found.seen
    assert found.experiment.endswith("none")
    assert found.fix.startswith("cosyrt tune ")


def test_libraries_for_two_releases_of_cuda_are_told(healthy: Setup) -> None:
    """Torch and onnxruntime must agree in the first number; and torch must have CUDA for a card."""
    both = {"CUDA of torch": "13.0", "CUDA of onnxruntime": "12.8"}
    other = version_mismatch(replace(healthy, machine=replace(LAPTOP, runtimes=both)))
    none = version_mismatch(replace(healthy, machine=LAPTOP))
    same = replace(LAPTOP, runtimes={**both, "CUDA of onnxruntime": "13.1"})

    assert "torch is for CUDA 13.0, onnxruntime for CUDA 12.8" in other.seen
    assert "a build without CUDA" in none.seen
    assert version_mismatch(replace(healthy, machine=same)).status == "ruled out"


def test_only_packages_that_bring_the_module_count(
    healthy: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that merely begins like it is no second one."""
    info = tmp_path / "onnxruntime_extensions-0.14.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-extensions\nVersion: 0.14.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert two_onnxruntimes(healthy).status == "ruled out"
    assert all(map(ONNXRUNTIMES.fullmatch, ("onnxruntime", "onnxruntime-directml", "ort-nightly-gpu")))


def test_a_damaged_archive_is_not_called_mislabelled(healthy: Setup, tmp_path: Path) -> None:
    """Nobody can load it, so that it slows nothing down."""
    path = tmp_path / "flow.encoder.fp16.zip"
    path.write_bytes(b"PK")

    assert mislabelled(replace(healthy, archives=(path,))).status == "ruled out"
