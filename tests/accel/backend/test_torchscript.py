"""A pipeline that runs archives says the same; what cannot be run is an error, never a silent no."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.accel.backend.torchscript import archives, availability, build, refusal
from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.torchscript.archive import Archive
from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import Model
from cosyrt.errors import ArchiveError, MissingDependency, UsageError
from cosyrt.families import COSYVOICE1, COSYVOICE2, COSYVOICE3
from cosyrt.lab.export import Exported
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload
from tests import tiny, tiny1

TEXT = "A sentence, long enough for a chunk."


@pytest.fixture(scope="module")
def accelerated(tiny_folder: Path, exported: dict[str, Exported]) -> cosyrt.Pipeline:
    where = exported["fp32"].path.parent
    return cosyrt.load(tiny_folder, device="cpu", accelerate=archives("fp32", where))


def test_it_says_the_same(accelerated: cosyrt.Pipeline, tiny: cosyrt.Pipeline) -> None:
    """Whole, chunked and streamed, sample by sample but for the order of sums."""
    for chunked in (False, True):
        ours, plain = (pipeline.say(TEXT, chunked=chunked) for pipeline in (accelerated, tiny))
        assert np.allclose(ours.samples, plain.samples, atol=1e-4)
    streamed = Audio.join(accelerated.stream(TEXT))
    assert np.allclose(streamed.samples, plain.samples, atol=1e-4)


def test_the_executor_is_set_in_the_thread_that_runs_it_and_put_back() -> None:
    """The switch belongs to a thread: set where the model was loaded, it would do nothing where it runs."""
    seen: list[bool] = []
    archive = Archive(
        path=Path("flow.encoder.fp32.zip"),
        component="flow.encoder",
        precision="fp32",
        module=SimpleNamespace(forward=lambda x: seen.append(torch._C._get_graph_executor_optimize())),  # type: ignore[arg-type]
        manifest=None,
    )

    def run() -> None:
        archive.call("forward", torch.zeros(1))
        seen.append(torch._C._get_graph_executor_optimize())

    thread = Thread(target=run)
    thread.start()
    thread.join()
    run()

    assert seen == [False, True, False, True]


def test_a_missing_archive_is_an_error(tiny_folder: Path) -> None:
    """Not a warning and a plain model."""
    with pytest.raises(
        ArchiveError, match=r"there is no .*flow\.encoder\.fp32\.zip; make it again with: cosyrt"
    ):
        cosyrt.load(tiny_folder, device="cpu", accelerate=archives())


def test_a_precision_that_is_none(tiny_folder: Path) -> None:
    """The known ones are named."""
    with pytest.raises(UsageError, match="no precision 'int8'; give fp32 or fp16"):
        cosyrt.load(tiny_folder, device="cpu", accelerate=archives("int8"))


def test_cosyvoice_3_has_no_archives(tiny: cosyrt.Pipeline, tmp_path: Path) -> None:
    """The error says what helps instead."""
    model = replace(tiny.model, folder=ModelFolder(tmp_path, "cosyvoice3", {}))

    with pytest.raises(UsageError, match="no encoder to export"):
        archives()(model)


def test_a_python_without_torchscript_says_so(
    tiny_folder: Path, tiny: cosyrt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is the error's text."""
    assert availability() == (True, "")

    monkeypatch.setattr(torch.jit._state._enabled, "enabled", False)
    assert not availability().ok
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(MissingDependency, match=r"Python 3\.14"):
        archives()(tiny.model)


@pytest.mark.parametrize("family", [tiny, tiny1])
def test_the_backend_equals_eager(tmp_path: Path, family: Any) -> None:
    """Compiled here and now, whole and streamed: the exact class, in every part the family has."""
    family.write_model(tmp_path / "model")
    workload = Workload(Model.open(str(tmp_path / "model"), "cpu"))
    parts: list[Part] = ["encode"] if family is tiny else ["encode", "llm"]
    for part in parts:
        stages = build(part, workload.model)
        said = [workload.utterance(Length(31, 0, False)), workload.utterance(Length(80, 31, True))]
        parity = verify(workload.model, part, "exact", stages, said)

        assert parity.passed, f"{part}: {parity.why}"
        assert {
            name
            for name in stages._fields
            if getattr(stages, name) is not getattr(workload.model.plain, name)
        } <= set(PARTS[part])


def test_what_a_family_has_not_is_refused() -> None:
    """The language model of CosyVoice 2, all of CosyVoice 3: one line."""
    assert refusal("llm", COSYVOICE2).startswith("TorchScript has no part llm of cosyvoice2")
    assert refusal("encode", COSYVOICE3).startswith("CosyVoice 3 has no encoder")
    assert refusal("encode", COSYVOICE2) == refusal("llm", COSYVOICE1) == ""
