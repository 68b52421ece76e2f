"""A healthy patient: the tiny model the plain way, on a clock that only an injected cause moves."""

from __future__ import annotations

import pytest
import torch

from cosyrt.lab.doctor.patient import Patient
from cosyrt.lab.workload import Subject
from tests.lab.doctor.injected import Clock


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


@pytest.fixture
def healthy(subject: Subject, clock: Clock) -> Patient:
    """Four parts of the same size, two cores, nothing else."""
    shares = {"llm": 1.0, "encode": 1.0, "velocity": 1.0, "vocode": 1.0}
    return Patient(
        subject=subject,
        stages=subject.plain,
        shares=shares,
        device=torch.device("cpu"),
        cores=max(2, torch.get_num_threads()),
        clock=clock,
    )
