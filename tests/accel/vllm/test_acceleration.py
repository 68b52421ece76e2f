"""Whether there is a vLLM, and one line for whoever has none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from cosyrt.accel.vllm import acceleration
from cosyrt.accel.vllm.acceleration import PYTHON_VARIABLE, availability, vllm
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import MissingDependency


def test_without_the_package_one_line_says_how(monkeypatch: pytest.MonkeyPatch, tiny: Pipeline) -> None:
    """What to install, where, and what to set."""
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'cosyrt\[vllm\]' .* set COSYRT_VLLM_PYTHON"):
        vllm()(tiny.model)


def test_another_environment_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The python that is named must be there."""
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    assert availability().ok
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "none"))
    assert "none is no program" in availability().reason


def test_settings_suit_the_device(tiny: Pipeline) -> None:
    """A processor computes in float32, as the plain stages do."""
    assert acceleration.suited(tiny.model).dtype == "float32"
    assert tiny.model.device == torch.device("cpu")
