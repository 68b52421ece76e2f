"""The doctor names every cause that is there, and none that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosyrt.accel.backend.torchscript import archives
from cosyrt.lab.doctor.diagnosis import CAUSES, diagnose
from cosyrt.lab.doctor.setup import Setup
from cosyrt.lab.export import Exported
from tests.lab.doctor.injected import INJECTIONS, Clock, Injector, fuser


@pytest.mark.parametrize("cause", INJECTIONS)
def test_an_injected_cause_is_named_and_no_other(
    cause: str,
    healthy: Setup,
    clock: Clock,
    exported: dict[str, Exported],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Exactly that one, confirmed by its experiment, with figures and one line of what to do."""
    use = Injector(clock, exported, tmp_path, monkeypatch, request)
    (found,) = diagnose(INJECTIONS[cause](healthy, use)).named

    assert (found.cause, found.status) == (cause, "confirmed")
    assert found.experiment and any(character.isdigit() for character in found.seen + found.experiment)
    assert found.fix and "\n" not in found.fix


def test_every_cause_is_injected(healthy: Setup) -> None:
    """N of N: what the doctor looks for is what the tests put in."""
    heard: list[str] = []
    found = diagnose(healthy, heard.append)

    assert {one.cause for one in found.findings} == INJECTIONS.keys()
    assert len(heard) == len(CAUSES) == len(INJECTIONS)


def test_a_healthy_set_up_is_silent(healthy: Setup, exported: dict[str, Exported]) -> None:
    """Nothing is named, even with archives at hand, in use our way, and a fuser at work."""
    paths = tuple(each.path for each in exported.values())
    workload = healthy.workload
    accelerate = archives(where=paths[0].parent)
    stages = accelerate(workload.model)
    with fuser():
        found = diagnose(replace(healthy, archives=paths, stages=stages))

    assert found.named == []
    assert {one.status for one in found.findings} == {"ruled out", "not applicable"}
