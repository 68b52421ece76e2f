"""The shared training loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recipes.builtin_voice import loop


class Task:
    """A line to fit, with noise from both generators."""

    def __init__(self, folder: Path, steps: int) -> None:
        torch.manual_seed(5)
        self.model = nn.Linear(3, 1)
        self.folder = folder
        config = loop.LoopConfig(steps=steps, learning_rate=0.05, warmup_steps=2, threads=1, report_s=1e9)
        self.loop = loop.Loop(
            [self.model], self.objective, config, checkpoint=folder / "line.checkpoint", save=self.save
        )

    def objective(self, step: int, random: np.random.Generator) -> loop.Losses:
        x = torch.from_numpy(random.normal(size=(8, 3)).astype(np.float32)) + 0.1 * torch.randn(8, 3)
        loss = (self.model(x).float()[:, 0] - x.sum(1)).square().mean()
        return {"loss": loss}

    def save(self) -> None:
        loop.save_weights(self.folder / "line.safetensors", self.loop.average, {"inputs": 3})


def test_resuming_changes_nothing(tmp_path: Path) -> None:
    """Stopped after five steps and taken up by a new process, the weights are those of one run of twelve."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = Task(tmp_path / "whole", 12)
    whole.loop.run()
    first = Task(tmp_path / "parts", 12)
    for _ in range(5):
        first.loop.take_step()
    first.loop.store()
    second = Task(tmp_path / "parts", 12)
    second.loop.run()
    assert second.loop.step == 12
    for ours, theirs in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for name, value in whole.loop.average.items():
        assert torch.equal(second.loop.average[name], value)


def test_the_schedule_ends_by_time_as_by_steps(tmp_path: Path) -> None:
    """Whichever budget is further used up decides the learning rate."""
    task = Task(tmp_path, 100)
    task.loop.config = loop.LoopConfig(
        steps=100, minutes=1, learning_rate=1.0, warmup_steps=1, final_rate=0.1
    )
    task.loop.step, task.loop.elapsed_s = 50, 6.0
    assert task.loop.learning_rate() == pytest.approx(0.55)
    task.loop.elapsed_s = 60.0
    assert task.loop.learning_rate() == pytest.approx(0.1)


def test_saved_weights_come_back_with_their_description(tmp_path: Path) -> None:
    """The result file holds the averaged weights and the configuration."""
    task = Task(tmp_path, 3)
    task.loop.run()
    weights, config = loop.load_weights(tmp_path / "line.safetensors")
    assert config == {"inputs": 3}
    assert torch.equal(weights["weight"], task.loop.average["weight"])
