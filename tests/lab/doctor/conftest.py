"""A healthy set-up: the tiny model the plain way, on a clock that only an injected cause moves."""

from __future__ import annotations

import pytest
import torch

from cosyrt.lab.doctor.setup import Setup
from cosyrt.lab.workload import Workload
from tests.lab.doctor.injected import Clock


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


@pytest.fixture
def healthy(workload: Workload, clock: Clock) -> Setup:
    """Four parts of the same size, two cores, nothing else."""
    shares = {"llm": 1.0, "encode": 1.0, "velocity": 1.0, "vocode": 1.0}
    return Setup(
        workload=workload,
        stages=workload.model.plain,
        shares=shares,
        cores=max(2, torch.get_num_threads()),
        clock=clock,
    )
