"""Causes put into a healthy set-up, each through what really makes it."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import first_tensor
from cosyrt.lab.doctor.setup import Setup
from cosyrt.lab.export import Exported


class Clock:
    """Stands still until an injected cause spends time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Injector:
    """What an injection may use; `stack` undoes it after the test."""

    def __init__(
        self,
        clock: Clock,
        exported: dict[str, Exported],
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        request: pytest.FixtureRequest,
    ) -> None:
        self.clock, self.exported, self.folder = clock, exported, folder
        self.monkeypatch, self.request = monkeypatch, request

    def costs(
        self, stage: Callable[..., Tensor], seconds: Callable[[Tensor], float]
    ) -> Callable[..., Tensor]:
        """The stage, each call of which takes so many seconds by its first argument."""

        def call(*args: Any) -> Tensor:
            self.clock.now += seconds(first_tensor(args))
            return stage(*args)

        return call


def with_stage(setup: Setup, name: str, stage: Callable[..., Tensor]) -> Setup:
    return replace(setup, stages=setup.stages._replace(**{name: stage}))


@contextmanager
def fuser() -> Iterator[None]:
    """The fuser that CPU builds of torch keep off."""
    able = torch._C._jit_can_fuse_on_cpu()
    needs = torch._C._jit_texpr_fuser_enabled()
    torch._C._jit_override_can_fuse_on_cpu(True)
    torch._C._jit_set_te_must_use_llvm_cpu(False)
    try:
        yield
    finally:
        torch._C._jit_override_can_fuse_on_cpu(able)
        torch._C._jit_set_te_must_use_llvm_cpu(True)
        torch._C._jit_set_texpr_fuser_enabled(needs)


def scripted_end(x: Tensor) -> Tensor:
    """Two operations that a fuser makes one of."""
    return torch.tanh(x) * 2


def executor(setup: Setup, use: Injector) -> Setup:
    """A stage that ends in TorchScript, run with the executor's defaults where a fuser is at work."""
    held = fuser()
    held.__enter__()
    use.request.addfinalizer(lambda: held.__exit__(None, None, None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(scripted_end)
    encode = setup.stages.encode

    @torch.inference_mode()
    def ends(*args: Any) -> Tensor:
        mu = encode(*args)
        return mu + script(mu[:, :1, ::8]).mean()  # few values: without LLVM the fused code is interpreted

    return with_stage(setup, "encode", ends)


def compiles_per_length(setup: Setup, use: Injector) -> Setup:
    """A velocity that works for a second at each shape that it has not seen."""
    seen: set[torch.Size] = set()

    def seconds(x: Tensor) -> float:
        new = x.shape not in seen
        seen.add(x.shape)
        return 1.0 if new else 0.1

    return with_stage(setup, "velocity", use.costs(setup.stages.velocity, seconds))


def of_another_torch(setup: Setup, use: Injector) -> Setup:
    """An archive whose manifest was written by another release."""
    path, beside = _copied(use, "fp32", "flow.encoder.fp32")
    manifest = json.loads(beside.read_text("utf-8")) | {"torch": "1.13.1"}
    beside.write_text(json.dumps(manifest), "utf-8")
    return replace(setup, archives=(path,))


def swapped_names(setup: Setup, use: Injector) -> Setup:
    """Float32 under the name of fp16, as an upstream release had it; upstream writes no manifest."""
    path, beside = _copied(use, "fp32", "flow.encoder.fp16")
    beside.unlink()
    return replace(setup, archives=(path,))


def _copied(use: Injector, precision: str, name: str) -> tuple[Path, Path]:
    source = use.exported[precision].path
    path, beside = use.folder / f"{name}.zip", use.folder / f"{name}.json"
    shutil.copy(source, path)
    shutil.copy(source.with_suffix(".json"), beside)
    return path, beside


class SpillingCard:
    """4 GB of which a model has left little: what is taken beyond it lies on the other side of the bus."""

    total_mb, free_mb, reserved_mb = 4096.0, 150.0, 3600.0

    def copy_rates(self, blocks: int) -> list[float]:
        return [90.0 if 64 * number < self.free_mb else 6.0 for number in range(1, blocks + 1)]


def spilling(setup: Setup, use: Injector) -> Setup:
    """A full card whose driver does not say no."""
    return replace(setup, card=SpillingCard())


def of_no_weight(setup: Setup, use: Injector) -> Setup:
    """Another way for a part that is a hundredth of the work."""
    encode = setup.stages.encode
    setup = replace(setup, shares={**setup.shares, "encode": 0.03})
    return with_stage(setup, "encode", lambda *args: encode(*args))


def too_many_threads(setup: Setup, use: Injector) -> Setup:
    """One thread more than there is core, and an encoder that waits for them."""
    before = torch.get_num_threads()
    use.request.addfinalizer(lambda: torch.set_num_threads(before))
    setup = replace(setup, cores=1)
    torch.set_num_threads(2)
    slow = lambda _: 3.0 if torch.get_num_threads() > setup.cores else 1.0  # noqa: E731
    setup = replace(setup, shares={**setup.shares, "encode": 5.0})
    return with_stage(setup, "encode", use.costs(setup.stages.encode, slow))


def second_onnxruntime(setup: Setup, use: Injector) -> Setup:
    """The traces of another package that brings the module."""
    info = use.folder / "onnxruntime_gpu-1.23.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.23.2\n")
    use.monkeypatch.syspath_prepend(str(use.folder))
    return setup


Injection = Callable[[Setup, Injector], Setup]
INJECTIONS: dict[str, Injection] = {
    "executor settings": executor,
    "re-specialisation per length": compiles_per_length,
    "version mismatch": of_another_torch,
    "memory spill": spilling,
    "tiny share of the work": of_no_weight,
    "thread over-subscription": too_many_threads,
    "two onnxruntime packages installed": second_onnxruntime,
    "weights mislabelled": swapped_names,
}
