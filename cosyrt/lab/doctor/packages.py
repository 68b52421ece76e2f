"""Causes that lie in what is installed, and in archives and plans that another installation made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch

from cosyrt.accel.torchscript.archive import (
    DTYPES,
    Archive,
    Manifest,
    named,
    read,
    remedy,
    torch_release,
    weight_dtype,
    weights,
)
from cosyrt.accel.torchscript.stages import components_of
from cosyrt.errors import ArchiveError
from cosyrt.files import file_sha256
from cosyrt.lab.doctor.setup import Finding, Setup
from cosyrt.startup import runtime

# Every distribution that brings a module called onnxruntime.
ONNXRUNTIMES = re.compile(
    r"onnxruntime(-(gpu|directml|openvino|training|training-gpu|rocm|migraphx|qnn|silicon|coreml|vitisai|windowsml))?"
    r"|ort-nightly(-gpu|-directml)?"
)


def version_mismatch(setup: Setup) -> Finding:
    """Look for plans and archives of another torch or model, and libraries for different releases of CUDA."""
    cause = "version mismatch"
    found = list(_mismatches(setup))
    if not found:
        archives = len(setup.archives)
        seen = f"the plan if there is one, {archives} archives and the libraries belong together"
        return Finding(cause=cause, status="ruled out", seen=seen)
    seen, experiment, fix = found[0]
    more = "" if len(found) == 1 else f"; and {len(found) - 1} more"
    return Finding(cause=cause, status="confirmed", seen=seen + more, experiment=experiment, fix=fix)


def _mismatches(setup: Setup) -> Iterator[tuple[str, str, str]]:
    """(what was seen, the experiment, the fix) of each."""
    model = str(setup.model.folder.path)
    if setup.plan_objection:
        changed = ", ".join(setup.changed) or "none"
        yield (
            f"there is a plan, and it does not fit: {setup.plan_objection}",
            f"loaded: parts that run another way than the plain one: {changed}",
            f"cosyrt tune {model}",
        )
    for path in setup.archives:
        if difference := _difference(setup, path):
            yield f"{path.name} {difference}", _opened(setup, path), remedy(path)
    yield from _of_cuda(setup)


def _difference(setup: Setup, path: Path) -> str:
    """Say how the manifest of an archive differs from this model and torch; empty if in nothing."""
    try:
        manifest = Manifest.beside(path)
    except ArchiveError:
        return "has a manifest that cannot be read"
    if manifest is None:
        return ""
    if manifest.torch != torch_release():
        return f"was made by torch {manifest.torch}, and this is {torch_release()}"
    if manifest.checkpoint_sha256 != file_sha256(_checkpoint(setup, path)):
        return "was made from another checkpoint"
    return ""


def _checkpoint(setup: Setup, path: Path) -> Path:
    folder = setup.model.folder
    component, _ = named(path)
    return next(one for one in components_of(folder.family) if one.name == component).checkpoint(folder)


def _opened(setup: Setup, path: Path) -> str:
    try:
        Archive.open(path, checkpoint=_checkpoint(setup, path))
    except ArchiveError as error:
        return f"opened: {str(error).partition(';')[0]}"
    return "opened: it can be loaded"


def _of_cuda(setup: Setup) -> Iterator[tuple[str, str, str]]:
    """Look for libraries that were built for another CUDA, or for none."""
    versions, gpu = setup.machine.runtimes, setup.machine.gpu
    torchs, onnxruntimes = versions.get("CUDA of torch"), versions.get("CUDA of onnxruntime")
    if gpu is not None and torchs is None:
        yield (
            f"there is a {gpu.name}, and torch {torch_release()} is a build without CUDA",
            f"loaded: the model runs on {setup.model.device}",
            "install torch with CUDA from pytorch.org",
        )
    if torchs and onnxruntimes and torchs.partition(".")[0] != onnxruntimes.partition(".")[0]:
        yield (
            f"torch is for CUDA {torchs}, onnxruntime for CUDA {onnxruntimes}",
            f"imported: {_answer()}",
            f"install the onnxruntime-gpu that is built for CUDA {torchs.partition('.')[0]}",
        )


def two_onnxruntimes(setup: Setup) -> Finding:
    """Look for packages that write the same files: which of them is imported is chance."""
    cause = "two onnxruntime packages installed"
    found = sorted({f"{name} {version}" for name, version in _onnxruntimes()})
    if len(found) < 2:
        seen = f"installed: {', '.join(found) or 'none'}"
        return Finding(cause=cause, status="ruled out", seen=seen)
    names = " ".join(one.partition(" ")[0] for one in found)
    return Finding(
        cause=cause,
        status="confirmed",
        seen=f"installed: {', '.join(found)}; they write the same files",
        experiment=f"imported: {_answer()}",
        fix=f"pip uninstall -y {names}, then pip install the one that is wanted",
    )


def _onnxruntimes() -> Iterator[tuple[str, str]]:
    for one in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower()
        if ONNXRUNTIMES.fullmatch(name):
            yield name, one.version


def _answer() -> str:
    """Import onnxruntime, and say which one it is and what it can run on."""
    try:
        module = runtime("onnxruntime")
    except ImportError as error:
        return f"it cannot be imported, {error}"
    return f"onnxruntime {module.__version__} with {', '.join(module.get_available_providers())}"


def mislabelled(setup: Setup) -> Finding:
    """Look for an archive named fp16 that holds float32, or the reverse, as in an upstream release."""
    cause = "weights mislabelled"
    if not setup.archives:
        return Finding(cause=cause, status="not applicable", seen="there are no archives")
    for path in setup.archives:
        try:
            module = read(path, None)
        except ArchiveError:
            continue  # it has no weights to look at, and cannot be loaded by anyone
        holds, said = weight_dtype(module), DTYPES[named(path)[1]]
        if holds is not None and holds != said:
            types = Counter(tensor.dtype for tensor in weights(module) if tensor.is_floating_point())
            return Finding(
                cause=cause,
                status="confirmed",
                seen=f"{path.name} should hold {_name(said)} and holds {_name(holds)}",
                experiment=f"read: {types[holds]} of {types.total()} tensors of its graph are {_name(holds)}",
                fix=remedy(path),
            )
    seen = f"the weights of {len(setup.archives)} archives are what they are named"
    return Finding(cause=cause, status="ruled out", seen=seen)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
