"""`cosyrt.load` and plans: one that fits is used, one that does not is ignored in one line."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.accel.backend import quantize
from cosyrt.accel.plan import Plan, Planned, PlannedSolver, made_for, plan_path
from cosyrt.accel.registry import BACKENDS, accelerated
from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.stages import Stages
from cosyrt.errors import UsageError

CPU = torch.device("cpu")


@pytest.fixture
def path(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the tiny model's plan belongs; nothing is there."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path))
    return plan_path(ModelFolder.open(tiny_folder), CPU)


@pytest.fixture
def plan(tiny_folder: Path) -> Plan:
    """A plan that fits here: the language model by int8."""
    key = made_for(ModelFolder.open(tiny_folder), CPU)
    return Plan(made_for=key, parts={"llm": Planned(backend="int8", speedup=2.0)})


def speaks_like(folder: Path, **options: object) -> torch.Tensor:
    tts = cosyrt.load(folder, device="cpu", **options)  # type: ignore[arg-type]
    cache = tts.model.stages.new_cache(1, 16)
    return tts.model.stages.prefill(torch.arange(5)[None], torch.zeros(1, 0, dtype=torch.long), cache)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accelerate", 5),
        ("accelerate", lambda model: None),
        ("plan", "no"),
        ("watch", 3),
        ("streams", "many"),
        ("weights", None),
        ("device", 0),
    ],
)
def test_options_of_the_wrong_kind(tiny_folder: Path, name: str, value: object) -> None:
    """An option of another kind, or stages that are none, are refused before speech is asked for."""
    with pytest.raises(UsageError, match=name if name != "device" else "the device is 0"):
        cosyrt.load(tiny_folder, **{"device": "cpu", name: value})  # type: ignore[arg-type]


def test_nothing_is_imported_that_is_not_needed(tiny_folder: Path, tmp_path: Path) -> None:
    """Loading without a plan imports no backend, nothing of `lab`, and no runtime but torch."""
    code = (
        "import sys, cosyrt; cosyrt.load(sys.argv[1], device='cpu').say('Hello.');"
        "print(*(name for name in sys.modules if name.startswith(('cosyrt.lab.', 'cosyrt.accel.backend', "
        "'onnx', 'openvino', 'tensorrt'))))"
    )
    command = [sys.executable, "-c", code, str(tiny_folder)]
    environment = {**os.environ, "COSYRT_PLANS": str(tmp_path)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    assert done.stdout.split() == []


def test_a_plan_that_fits_is_used(tiny_folder: Path, path: Path, plan: Plan) -> None:
    """The stages are those of the plan's backend; with plan=False they are the plain ones."""
    plain = speaks_like(tiny_folder)
    plan.write(path)
    planned = speaks_like(tiny_folder)

    assert torch.equal(planned, speaks_like(tiny_folder, accelerate=accelerated("int8")))
    assert not torch.equal(planned, plain)
    assert torch.equal(speaks_like(tiny_folder, plan=False), plain)


def test_a_model_knows_what_calls_of_its_plan_take(tiny_folder: Path, path: Path, plan: Plan) -> None:
    """What was measured when the plan was made goes with the model, for a scheduler to reckon with.

    So it does where no part but the solver is another one.
    """
    measured = replace(plan, calls={"step": [(100, 0.5), (200, 0.7)]})
    for parts in (plan.parts, {}):
        replace(measured, parts=parts).write(path)

        tts = cosyrt.load(tiny_folder, device="cpu")
        assert tts.model.calls == {"step": [(100, 0.5), (200, 0.7)]}
    assert cosyrt.load(tiny_folder, device="cpu", plan=False).model.calls == {}


def test_a_solver_of_a_plan_is_used(tiny_folder: Path, path: Path, plan: Plan) -> None:
    """The speech is that of the other steps, streamed as whole; with plan=False it is the model's own."""
    solver = PlannedSolver(
        name="2 steps, second order",
        times=[0.0, 0.3, 1.0],
        guidance=[0.7, 0.0],
        order=2,
        closeness="as close",
        distance_db=1.0,
        speedup=3.0,
    )
    replace(plan, parts={}, solver=solver).write(path)
    fast = cosyrt.load(tiny_folder, device="cpu")
    own = cosyrt.load(tiny_folder, device="cpu", plan=False)

    assert fast.model.settings.flow.solver == solver.solver
    assert own.model.settings.flow.approximation is None
    whole, streamed = fast.say("Hello there.", chunked=True), Audio.join(fast.stream("Hello there."))
    assert np.abs(whole.samples - streamed.samples).max() < 1e-4
    assert (whole.samples != own.say("Hello there.", chunked=True).samples).any()


def test_a_stale_plan_is_ignored_in_one_line(
    tiny_folder: Path, path: Path, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once what has changed and what to do, and the model runs its plain stages."""
    plain = speaks_like(tiny_folder)
    replace(plan, made_for=plan.made_for | {"torch": "1.0"}).write(path)
    with caplog.at_level(logging.WARNING):
        found = speaks_like(tiny_folder)

    assert torch.equal(found, plain)
    (line,) = caplog.messages
    assert "torch was 1.0" in line and "cosyrt tune" in line


def test_a_plan_of_other_threads_is_ignored_in_one_line(
    tiny_folder: Path, path: Path, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    """The line says for how many threads a plan was measured, and how to make one for those there are."""
    plain, threads = speaks_like(tiny_folder), torch.get_num_threads()
    plan.write(path)
    torch.set_num_threads(threads + 1)
    try:
        with caplog.at_level(logging.WARNING):
            found = speaks_like(tiny_folder)
    finally:
        torch.set_num_threads(threads)

    torch.testing.assert_close(found, plain)
    (line,) = caplog.messages
    assert f"OMP_NUM_THREADS={threads + 1} cosyrt tune {tiny_folder}" in line


def test_a_damaged_plan_is_ignored_in_one_line(
    tiny_folder: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a file, or none at all, never stops a model."""
    path.write_text('{"parts":')
    with caplog.at_level(logging.WARNING):
        speaks_like(tiny_folder)

    assert len(caplog.messages) == 1 and "cannot be read" in caplog.text


def test_a_backend_that_went_away_is_ignored_in_one_line(
    tiny_folder: Path, path: Path, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    """A plan that names what this version does not have runs the plain way."""
    replace(plan, parts={"llm": Planned(backend="warp", speedup=9.0)}).write(path)
    with caplog.at_level(logging.WARNING):
        speaks_like(tiny_folder)

    assert len(caplog.messages) == 1 and "'warp'" in caplog.text


def test_a_backend_that_breaks_is_ignored_in_one_line(
    tiny_folder: Path,
    path: Path,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk or a bug of a runtime while stages are built: the model speaks the plain way."""

    def full(*_: object) -> Stages:
        raise OSError("[Errno 28] No space left\non device")

    monkeypatch.setattr(quantize, "BACKENDS", (replace(BACKENDS["int8"], build=full),))
    plain = speaks_like(tiny_folder)
    plan.write(path)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(speaks_like(tiny_folder), plain)

    (line,) = caplog.messages
    assert "OSError: [Errno 28] No space left on device" in line
