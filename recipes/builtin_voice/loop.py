"""The training loop that every part of the built-in voice shares."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

SPIKE = 30.0  # times the usual gradient norm: such a step is left out
MOST_SKIPPED = 50  # steps left out in a row, before the run is given up
Losses = dict[str, Tensor]
Objective = Callable[[int, np.random.Generator], Losses]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast to learn; the schedule follows whichever of steps and minutes is further on."""

    steps: int = 1_000_000
    minutes: float = math.inf
    learning_rate: float = 1e-3
    final_rate: float = 0.02
    warmup_steps: int = 50
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema_decay: float = 0.999
    checkpoint_minutes: float = 5.0
    report_s: float = 20.0
    seed: int = 0
    threads: int = 2
    device: str = "cpu"


class Loop:
    """AdamW with a cosine schedule, gradient clipping, averaged weights and exact resumption.

    The objective gets the step's number and a random generator that depends on nothing but the seed and
    that number; torch's own generator is kept in the checkpoint. It returns named losses, of which `loss` is
    minimised. Every group of modules is clipped on its own (a discriminator must not scale its generator).
    """

    def __init__(
        self,
        groups: list[nn.Module],
        objective: Objective,
        config: LoopConfig,
        *,
        checkpoint: Path,
        save: Callable[[], None],
    ) -> None:
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        torch.manual_seed(config.seed)
        self.config, self.objective, self.checkpoint, self.save = config, objective, checkpoint, save
        self.groups = groups
        self.model = groups[0]
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            [{"params": list(group.parameters())} for group in groups],
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            foreach=True,
        )
        self.step, self.elapsed_s, self.skipped = 0, 0.0, 0
        self.usual_norm: float | None = None

    def run(self) -> None:
        """Trains to the end of the schedule, from the checkpoint when there is one."""
        self.resume()
        report = Report(self.config.report_s)
        saved_s, began = self.elapsed_s, time.monotonic() - self.elapsed_s
        while self.progress() < 1:
            losses = self.take_step()
            self.elapsed_s = time.monotonic() - began
            report.add(losses, self)
            if self.elapsed_s - saved_s > 60 * self.config.checkpoint_minutes:
                self.store()
                saved_s = self.elapsed_s
        self.store()
        report.flush(self)

    def progress(self) -> float:
        """The share of the schedule that is behind us."""
        return max(self.step / self.config.steps, self.elapsed_s / 60 / self.config.minutes)

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to `final_rate` of the peak."""
        warm = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress())))
        floor = self.config.final_rate
        return self.config.learning_rate * warm * (floor + (1 - floor) * cosine)

    def take_step(self) -> dict[str, float]:
        """One update; returns the losses as numbers."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        random = np.random.default_rng((self.config.seed, self.step))
        with torch.autocast(self.config.device, torch.bfloat16):
            losses = self.objective(self.step, random)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norms = [nn.utils.clip_grad_norm_(module.parameters(), self.config.clip) for module in self.groups]
        self.step += 1
        if self.sane(float(sum(norms))):
            self.optimizer.step()
            self._average()
        return {name: float(value.detach()) for name, value in losses.items()}

    def sane(self, norm: float) -> bool:
        """Whether a gradient of that size may be followed: far above the usual it can wreck the weights."""
        if math.isfinite(norm) and norm < SPIKE * (self.usual_norm or math.inf):
            self.usual_norm = norm if self.usual_norm is None else 0.98 * self.usual_norm + 0.02 * norm
            self.skipped = 0
            return True
        self.skipped += 1
        assert self.skipped < MOST_SKIPPED, "the gradient is out of bounds again and again"
        print(f"step {self.step}: gradient norm {norm:.3g}; step left out", flush=True)
        return False

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        state = self.model.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in floats], [state[name] for name in floats], 1 - decay
        )
        for name in state.keys() - set(floats):
            self.average[name].copy_(state[name])

    def store(self) -> None:
        """Writes the checkpoint atomically, then the averaged weights through `save`."""
        state = {
            "models": [group.state_dict() for group in self.groups],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)
        self.save()

    def resume(self) -> None:
        """Takes up the checkpoint, when there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        for group, weights in zip(self.groups, state["models"], strict=True):
            group.load_state_dict(weights)
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]


class Report:
    """A line of mean losses every so many seconds."""

    def __init__(self, every_s: float) -> None:
        self.every_s, self.last, self.count = every_s, time.monotonic(), 0
        self.sums: dict[str, float] = {}

    def add(self, losses: dict[str, float], loop: Loop) -> None:
        """Takes in the losses of one step."""
        self.count += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if time.monotonic() - self.last >= self.every_s:
            self.flush(loop)

    def flush(self, loop: Loop) -> None:
        """Prints the means since the last line and how long is left."""
        if not self.count:
            return
        means = " ".join(f"{name} {value / self.count:.4f}" for name, value in self.sums.items())
        pace_ms = 1000 * (time.monotonic() - self.last) / self.count
        left = loop.elapsed_s / max(loop.progress(), 1e-9) * (1 - loop.progress()) / 60
        print(
            f"step {loop.step} {pace_ms:.0f} ms  {means}  lr {loop.learning_rate():.1e}  {left:.1f} min left",
            flush=True,
        )
        self.last, self.count, self.sums = time.monotonic(), 0, {}


def save_weights(path: Path, weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Float32 safetensors with the configuration as JSON in the metadata, replaced atomically."""
    tensors = {name: value.detach().float().contiguous().cpu() for name, value in weights.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"config": json.dumps(config)})
    os.replace(partial, path)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_weights` wrote."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118


def add_options(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    """The command-line options of a `LoopConfig`."""
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=defaults.get("minutes", math.inf))
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=defaults["batch"])
    parser.add_argument("--learning-rate", type=float, default=defaults["learning_rate"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="forget the checkpoint")


def config_of(options: argparse.Namespace, **fixed: Any) -> LoopConfig:
    """The loop that the options ask for."""
    names = ("minutes", "steps", "learning_rate", "threads", "device", "seed")
    return LoopConfig(**{name: getattr(options, name) for name in names}, **fixed)


def start(options: argparse.Namespace, name: str) -> Path:
    """The checkpoint path of a part; a fresh start deletes what lies there."""
    path = options.work / f"{name}.checkpoint"
    if options.fresh:
        path.unlink(missing_ok=True)
    return path


def padded(arrays: Iterable[np.ndarray], rows: int) -> Tensor:  # float32 [B, rows, ...]
    """Arrays [rows or fewer, ...] stacked, short ones padded with zeros at the end."""
    arrays = list(arrays)
    out = np.zeros((len(arrays), rows, *arrays[0].shape[1:]), np.float32)
    for at, array in enumerate(arrays):
        out[at, : len(array)] = array
    return torch.from_numpy(out)
