"""A candidate on trial: what it is verified with, and what it is timed with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cosyrt.lab import trial
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.trial import Job, Timed

RIGHT = Parity(precision="exact", distances=Distances())
WRONG = Parity(precision="exact", distances=Distances(), why="call: 1 apart")


@pytest.mark.parametrize(
    ("device", "verdict", "builds"), [("cuda", RIGHT, 2), ("cuda", WRONG, 1), ("cpu", RIGHT, 1)]
)
def test_what_was_recorded_while_verifying_is_not_timed(
    device: str, verdict: Parity, builds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph keeps the arithmetic that it was recorded with; users have another. A CPU records nothing."""
    built: list[int] = []
    timed: list[Any] = []

    def accelerate(*given: Any) -> int:
        built.append(len(built))
        return built[-1]

    model = SimpleNamespace(device=torch.device(device))
    subject = SimpleNamespace(model=model, plain="plain", utterance=lambda *length: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # it would outlive the test
    monkeypatch.setattr(trial, "Subject", SimpleNamespace(open=lambda *asked: subject))
    monkeypatch.setattr(trial, "accelerated", lambda names: accelerate)
    monkeypatch.setattr(trial, "_parity", lambda *given: verdict)
    monkeypatch.setattr(trial, "_measured", lambda subject, stages, *rest: timed.append(stages))
    monkeypatch.setattr(trial, "timed", lambda *given: None)
    monkeypatch.setattr(Timed, "of", lambda *given: None)
    trial.trial(
        Job(folder=None, device=device, parts={"velocity": "cudagraphs"}, seconds=1.0, lengths=1, threads=1)
    )

    assert built == list(range(builds))
    assert timed == (["plain", "plain", builds - 1] if verdict.passed else [])
