"""Plans: written whole, read strictly, stale as soon as anything they depend on has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cosyrt.accel.plan import (
    Plan,
    Planned,
    PlannedSolver,
    fitting,
    made_for,
    plan_path,
    plans_folder,
    surroundings,
)
from cosyrt.checkpoint.folder import ModelFolder

CPU = torch.device("cpu")
PLAN = Plan(
    made_for={"torch": "2.13.0"},
    parts={"llm": Planned(backend="int8", speedup=2.5, calls={"step": [(1, 0.02)]})},
    speedup=1.7,
    made="2026-11-21T07:00:00",
)
SOLVER = PlannedSolver(
    name="2 steps",
    times=[0.0, 0.3, 1.0],
    guidance=[0.7, 0.0],
    order=2,
    closeness="close",
    distance_db=1.5,
    speedup=2.0,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """A plan that was written comes back equal; its folder is made."""
    path = tmp_path / "a" / "b" / "plan.json"
    PLAN.write(path)

    assert Plan.read(path) == PLAN


def test_a_solver_is_kept_and_read_strictly(tmp_path: Path) -> None:
    """A solver comes back equal; times that do not rise from 0, or too few, make no plan."""
    path, plan = tmp_path / "plan.json", replace(PLAN, solver=SOLVER)
    plan.write(path)
    assert Plan.read(path) == plan
    assert plan.solver is not None and plan.solver.solver.rows == 3

    for times in ([0.1, 0.3, 1.0], [0.0, 0.3, 0.3], [0.0, 1.0]):
        replace(PLAN, solver=replace(SOLVER, times=times)).write(path)
        assert Plan.read(path) is None
    replace(PLAN, solver=replace(SOLVER, order=3)).write(path)  # type: ignore[arg-type]
    assert Plan.read(path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "{",
        '{"made_for": [], "parts": {}, "speedup": 1, "made": ""}',
        "\xff",
        '{"made_for": {}, "parts": {}, "speedup": 1, "made": ""' + "}" * 2,
        "[" * 100_000,
    ],
)
def test_what_is_no_plan_is_none(tmp_path: Path, text: str) -> None:
    """Nothing that can lie in a cache folder makes loading fail."""
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="latin-1")

    assert Plan.read(path) is None
    assert Plan.read(tmp_path / "other.json") is None


def test_a_size_beyond_all_numbers_is_no_plan(tmp_path: Path) -> None:
    """1e999 is valid JSON."""
    path = tmp_path / "plan.json"
    PLAN.write(path)
    path.write_text(path.read_text().replace("0.02", "1").replace("1,", "1e999,", 1))

    assert Plan.read(path) is None


def test_parts_there_are_not_are_left_out(tmp_path: Path) -> None:
    """A part that a later version knew is not run by this one."""
    path = tmp_path / "plan.json"
    PLAN.write(path)
    found = json.loads(path.read_text())
    found["parts"]["breath"] = found["parts"]["llm"]
    path.write_text(json.dumps(found))

    assert Plan.read(path) == PLAN


def test_every_change_makes_it_stale() -> None:
    """Another version, one more thing or one less: each is named."""
    assert PLAN.stale({"torch": "2.13.0"}) == ""
    assert PLAN.stale({"torch": "2.14.0"}) == "torch was 2.13.0 and is 2.14.0"
    assert PLAN.stale({}) == "torch was 2.13.0 and is nothing"
    assert PLAN.stale({"torch": "2.13.0", "threads": "2"}) == "threads was nothing and is 2"


def test_it_depends_on_machine_model_and_versions(tiny_folder: Path) -> None:
    """The keys are these, and the file carries the model and the device in its name."""
    folder = ModelFolder.open(tiny_folder)
    key = made_for(folder, CPU)

    assert set(key) >= {"model", "device", "threads", "torch", "openvino", "onnxruntime"}
    assert plan_path(folder, CPU).name == f"{key['model']}-cpu-{key['threads']}threads.json"


def test_each_kind_of_card_has_a_plan_of_its_own(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds in one machine do not overwrite each other's; names may hold what a path may not."""
    cards = ["NVIDIA GeForce RTX 4090", "AMD Radeon RX 6800/6800 XT"]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: cards[device.index])
    folder = ModelFolder.open(tiny_folder)
    first, second = (plan_path(folder, torch.device("cuda", number)) for number in range(2))

    assert first.name.endswith("-cuda-NVIDIA-GeForce-RTX-4090.json")
    assert first != second and first.parent == second.parent


def test_a_plan_that_fits_and_the_objections(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """None where there is none or the folder cannot be used; what has changed where there is one."""
    folder = ModelFolder.open(tiny_folder)
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    assert fitting(folder, CPU) == (None, "")

    plan = replace(PLAN, made_for=made_for(folder, CPU))
    plan.write(plan_path(folder, CPU))
    assert fitting(folder, CPU) == (plan, "")

    replace(plan, made_for=plan.made_for | {"torch": "1.0"}).write(plan_path(folder, CPU))
    objection = fitting(folder, CPU)[1]
    assert re.fullmatch(r"torch was 1\.0 and is .*; make it again with: cosyrt tune .*", objection)

    plan_path(folder, CPU).write_text("[" * 100_000)
    assert "cannot be read" in fitting(folder, CPU)[1]

    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans" / "file" / "below"))
    (tmp_path / "plans" / "file").touch()
    assert fitting(folder, CPU) == (None, "")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads of this process until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_each_number_of_threads_has_a_plan_of_its_own(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: Callable[[int], None]
) -> None:
    """The plan measured for the threads of this process is used; without one, a line says how to make it."""
    folder = ModelFolder.open(tiny_folder)
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    plans = {}
    for count in (1, 3):
        threads(count)
        plans[count] = replace(PLAN, made_for=made_for(folder, CPU), speedup=float(count))
        plans[count].write(plan_path(folder, CPU))

    for count in (1, 3):
        threads(count)
        assert fitting(folder, CPU) == (plans[count], "")
    threads(2)
    assert fitting(folder, CPU) == (
        None,
        "it was measured with 1 or 3 threads, and this process has 2; "
        f"make one for 2 with: OMP_NUM_THREADS=2 cosyrt tune {tiny_folder}",
    )


def test_several_streams_have_plans_of_their_own(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The plan for the most streams, up to those that are wanted, is used; else the one for a single one."""
    folder = ModelFolder.open(tiny_folder)
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    plans = {}
    for streams in (1, 4, 8):
        plans[streams] = replace(PLAN, made_for=made_for(folder, CPU, streams), speedup=float(streams))
        plans[streams].write(plan_path(folder, CPU, streams))

    for wanted, found in ((1, 1), (3, 1), (4, 4), (7, 4), (100, 8)):
        assert fitting(folder, CPU, wanted) == (plans[found], "")
    plan_path(folder, CPU, 8).write_text("[")
    assert fitting(folder, CPU, 9)[1].endswith(f"cosyrt tune {tiny_folder} --streams 8")
    plan_path(folder, CPU).unlink()
    assert fitting(folder, CPU) == (None, "")


def test_a_plan_without_parts_is_no_loss(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: Callable[[int], None]
) -> None:
    """Where plain PyTorch was the fastest for other threads, there is nothing to warn of."""
    folder = ModelFolder.open(tiny_folder)
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    threads(1)
    replace(PLAN, made_for=made_for(folder, CPU), parts={}).write(plan_path(folder, CPU))
    threads(2)

    assert fitting(folder, CPU) == (None, "")


def test_threads_do_not_matter_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, threads: Callable[[int], None]
) -> None:
    """A plan of a graphics card depends on the card, whatever the processor's share in the work is."""
    monkeypatch.setattr("cosyrt.accel.plan.device_name", lambda device: "a card")
    threads(1)
    one = surroundings(torch.device("cuda"))
    threads(2)

    assert surroundings(torch.device("cuda")) == one and "threads" not in one
    assert surroundings(CPU)["threads"] == "2"


def test_plans_have_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """COSYRT_PLANS names it; else it is in the user's cache."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "mine"))
    assert plans_folder() == tmp_path / "mine"
    monkeypatch.delenv("COSYRT_PLANS")
    assert plans_folder().parts[-2:] == ("cosyrt", "plans")
