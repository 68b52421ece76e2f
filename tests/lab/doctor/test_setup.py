"""What is gathered before the doctor looks: the way it is run, the shares and archives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.accel.contract import PARTS
from cosyrt.accel.plan import Plan, Planned, made_for, plan_path
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import Model
from cosyrt.errors import UsageError
from cosyrt.lab.doctor.setup import Setup
from cosyrt.lab.export import Exported

CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_folder: Path) -> Model:
    """The tiny model, on the CPU."""
    return Model.open(tiny_folder, "cpu")


@pytest.fixture
def plan(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """An int8 language model, planned for this model here."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path))
    folder = ModelFolder.open(tiny_folder)
    plan = Plan(made_for=made_for(folder, CPU), parts={"llm": Planned(backend="int8", speedup=2.0)})
    plan.write(plan_path(folder, CPU))
    return plan


def test_a_plan_is_run_without_its_guard(tiny_folder: Path, model: Model, plan: Plan) -> None:
    """The doctor wants to see what the guard would hide; the other parts are plain, and shares are of all."""
    setup = Setup.open(model)

    assert setup.changed == ["llm"]
    assert setup.plan_objection == ""
    assert sum(map(setup.share, PARTS)) == pytest.approx(1)
    assert setup.card is None and setup.cores >= 1
    assert not any("Watch" in repr(stage) for stage in setup.stages)


def test_a_plan_that_does_not_hold_is_an_objection(tiny_folder: Path, model: Model, plan: Plan) -> None:
    """Stale, damaged, or of a backend that is not there: the plain way, and why."""
    folder = ModelFolder.open(tiny_folder)
    path = plan_path(folder, CPU)
    Plan(made_for=plan.made_for | {"torch": "1.0"}, parts=plan.parts).write(path)
    stale = Setup.open(model)
    Plan(made_for=plan.made_for, parts={"llm": Planned(backend="steam", speedup=2.0)}).write(path)
    unknown = Setup.open(model)
    path.write_text("{")
    damaged = Setup.open(model)

    assert (stale.changed, unknown.changed, damaged.changed) == ([], [], [])
    assert "torch was 1.0" in stale.plan_objection
    assert "'steam'" in unknown.plan_objection
    assert "cannot be read" in damaged.plan_objection
    assert Setup.open(model, backend="eager").plan_objection == ""


def test_a_way_can_be_named(model: Model, exported: dict[str, Exported]) -> None:
    """Archives may lie elsewhere, and only those of the model's own components count."""
    where = exported["fp32"].path.parent
    setup = Setup.open(model, backend="torchscript", archives=where)

    assert setup.changed == ["encode"]
    assert {path.name for path in setup.archives} == {"flow.encoder.fp16.zip", "flow.encoder.fp32.zip"}
    with pytest.raises(UsageError, match="no backend 'steam'"):
        Setup.open(model, backend="steam")
