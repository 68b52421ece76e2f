"""Plans of this machine as grounds for advice."""

from __future__ import annotations

from pathlib import Path

import torch

from cosyrt.accel.plan import Plan, Planned, surroundings
from cosyrt.lab.advice import OPTIONS
from cosyrt.lab.measured import OPTION_OF, measured_here

HERE = surroundings(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def write(path: Path, backend: str, **other: str) -> None:
    plan = Plan(
        made_for=HERE | {"model": "0123456789abcdef"} | other,
        parts={"velocity": Planned(backend=backend, speedup=1.754)},
    )
    plan.write(path)


def test_a_plan_of_this_machine_is_measured(tmp_path: Path) -> None:
    """What it runs is to be used, with its factor, its part and the model."""
    write(tmp_path / "a.json", "bf16")
    (tmp_path / "broken.json").write_text("{")

    assert measured_here(tmp_path) == {
        "half weights (bf16, fp16)": ("use", "bf16 made velocity of model 01234567 1.75 times as fast")
    }


def test_what_does_not_hold_here_says_nothing(tmp_path: Path) -> None:
    """A plan of another device or version, a backend that no advice is about, a folder that is not there."""
    write(tmp_path / "a.json", "bf16", device="some other processor")
    write(tmp_path / "b.json", "bf16", torch="1.0")
    write(tmp_path / "c.json", "something new")

    assert measured_here(tmp_path) == {}
    assert measured_here(tmp_path / "nowhere") == {}


def test_every_backend_is_of_an_option_there_is() -> None:
    """The names are those of the advice."""
    assert set(OPTION_OF.values()) <= set(OPTIONS)
