"""Causes put into a healthy patient, each through what really makes it."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.accel.contract import first_tensor
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import eager
from cosyrt.lab.doctor.patient import Patient
from cosyrt.lab.export import Exported
from cosyrt.lab.workload import Subject


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


def with_stage(patient: Patient, name: str, stage: Callable[..., Tensor]) -> Patient:
    return replace(patient, stages=patient.stages._replace(**{name: stage}))


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


def executor(patient: Patient, use: Injector) -> Patient:
    """A stage that ends in TorchScript, run with the executor's defaults where a fuser is at work."""
    held = fuser()
    held.__enter__()
    use.request.addfinalizer(lambda: held.__exit__(None, None, None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(scripted_end)
    encode = patient.stages.encode

    @torch.inference_mode()
    def ends(*args: Any) -> Tensor:
        mu = encode(*args)
        return mu + script(mu[:, :1, ::8]).mean()  # few values: without LLVM the fused code is interpreted

    return with_stage(patient, "encode", ends)


def compiles_per_length(patient: Patient, use: Injector) -> Patient:
    """A velocity that works for a second at each shape that it has not seen."""
    seen: set[torch.Size] = set()

    def seconds(x: Tensor) -> float:
        new = x.shape not in seen
        seen.add(x.shape)
        return 1.0 if new else 0.1

    return with_stage(patient, "velocity", use.costs(patient.stages.velocity, seconds))


def constant_elsewhere(patient: Patient, use: Injector) -> Patient:
    """A vocoder with a constant that did not move with it."""
    vocoder = copy.deepcopy(patient.subject.model.networks.vocoder)
    vocoder.table = torch.zeros(64, device="meta")
    networks = replace(patient.subject.model.networks, vocoder=vocoder)
    model = replace(patient.subject.model, networks=networks)
    subject = Subject(pipeline=Pipeline(model))
    return replace(patient, subject=subject, stages=eager(networks))


def autocast_inside(patient: Patient, use: Injector) -> Patient:
    """A velocity wrapped in autocast, as upstream's fp16."""
    velocity = eager(patient.subject.model.networks).velocity  # its own: it keeps what it makes of the times

    def cast(*args: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return velocity(*args).float()

    return with_stage(patient, "velocity", cast)


def of_another_torch(patient: Patient, use: Injector) -> Patient:
    """An archive whose manifest was written by another release."""
    path, beside = _copied(use, "fp32", "flow.encoder.fp32")
    manifest = json.loads(beside.read_text("utf-8")) | {"torch": "1.13.1"}
    beside.write_text(json.dumps(manifest), "utf-8")
    return replace(patient, archives=(path,))


def swapped_names(patient: Patient, use: Injector) -> Patient:
    """Float32 under the name of fp16, as an upstream release had it; upstream writes no manifest."""
    path, beside = _copied(use, "fp32", "flow.encoder.fp16")
    beside.unlink()
    return replace(patient, archives=(path,))


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


def spilling(patient: Patient, use: Injector) -> Patient:
    """A full card whose driver does not say no."""
    return replace(patient, card=SpillingCard())


def of_no_weight(patient: Patient, use: Injector) -> Patient:
    """Another way for a part that is a hundredth of the work."""
    encode = patient.stages.encode
    patient = replace(patient, shares={**patient.shares, "encode": 0.03})
    return with_stage(patient, "encode", lambda *args: encode(*args))


class SearchingSession:
    """A session of onnxruntime on a card, as it is when nothing is said about the search."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seen = clock, set[tuple[int, ...]]()

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {"CUDAExecutionProvider": {"cudnn_conv_algo_search": "EXHAUSTIVE"}, "CPUExecutionProvider": {}}

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="mel", type="tensor(float)", shape=[1, 128, "frames"])]

    def run(self, names: None, given: dict[str, Any]) -> list[Any]:
        shape = given["mel"].shape
        self.clock.now += 0.006 if shape in self.seen else 0.148
        self.seen.add(shape)
        return []


def searching(patient: Patient, use: Injector) -> Patient:
    """A session that tries every algorithm for each new length."""
    return replace(patient, sessions=(SearchingSession(use.clock),))


def too_many_threads(patient: Patient, use: Injector) -> Patient:
    """One thread more than there is core, and an encoder that waits for them."""
    before = torch.get_num_threads()
    use.request.addfinalizer(lambda: torch.set_num_threads(before))
    patient = replace(patient, cores=1)
    torch.set_num_threads(2)
    slow = lambda _: 3.0 if torch.get_num_threads() > patient.cores else 1.0  # noqa: E731
    patient = replace(patient, shares={**patient.shares, "encode": 5.0})
    return with_stage(patient, "encode", use.costs(patient.stages.encode, slow))


def second_onnxruntime(patient: Patient, use: Injector) -> Patient:
    """The traces of another package that brings the module."""
    info = use.folder / "onnxruntime_gpu-1.23.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.23.2\n")
    use.monkeypatch.syspath_prepend(str(use.folder))
    return patient


Injection = Callable[[Patient, Injector], Patient]
INJECTIONS: dict[str, Injection] = {
    "executor settings": executor,
    "re-specialisation per length": compiles_per_length,
    "module or constants on the wrong device": constant_elsewhere,
    "precision by autocast": autocast_inside,
    "version mismatch": of_another_torch,
    "memory spill": spilling,
    "tiny share of the work": of_no_weight,
    "cuDNN or ONNX Runtime searches per length": searching,
    "thread over-subscription": too_many_threads,
    "two onnxruntime packages installed": second_onnxruntime,
    "weights mislabelled": swapped_names,
}
