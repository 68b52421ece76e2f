"""Causes that lie in what is installed, and in files that another installation made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cosyrt.accel.torchscript.archive import Archive, named, remedy, torch_release
from cosyrt.accel.torchscript.manifest import Manifest, sha256
from cosyrt.accel.torchscript.stages import components_of
from cosyrt.errors import ArchiveError
from cosyrt.lab.doctor.finding import Finding
from cosyrt.lab.doctor.patient import Patient
from cosyrt.startup import runtime

# Every distribution that brings a module called onnxruntime.
ONNXRUNTIMES = re.compile(
    r"onnxruntime(-(gpu|directml|openvino|training|training-gpu|rocm|migraphx|qnn|silicon|coreml|vitisai|windowsml))?"
    r"|ort-nightly(-gpu|-directml)?"
)


def version_mismatch(patient: Patient) -> Finding:
    """A plan or archive of another torch or checkpoint; libraries for different releases of CUDA."""
    cause = "version mismatch"
    found = list(_mismatches(patient))
    if not found:
        archives = len(patient.archives)
        seen = f"the plan if there is one, {archives} archives and the libraries belong together"
        return Finding(cause=cause, status="ruled out", seen=seen)
    seen, experiment, fix = found[0]
    more = "" if len(found) == 1 else f"; and {len(found) - 1} more"
    return Finding(cause=cause, status="confirmed", seen=seen + more, experiment=experiment, fix=fix)


def _mismatches(patient: Patient) -> Iterator[tuple[str, str, str]]:
    """(what was seen, the experiment, the fix) of each."""
    model = str(patient.subject.model.folder.path)
    if patient.plan_objection:
        changed = ", ".join(patient.changed) or "none"
        yield (
            f"there is a plan, and it does not fit: {patient.plan_objection}",
            f"loaded: parts that run another way than the plain one: {changed}",
            f"cosyrt tune {model}",
        )
    for path in patient.archives:
        if difference := _difference(patient, path):
            yield f"{path.name} {difference}", _opened(patient, path), remedy(path)
    yield from _of_cuda(patient)


def _difference(patient: Patient, path: Path) -> str:
    """What the manifest of an archive says against it; empty where there is none, or nothing."""
    try:
        manifest = Manifest.beside(path)
    except ArchiveError:
        return "has a manifest that cannot be read"
    if manifest is None:
        return ""
    if manifest.torch != torch_release():
        return f"was made by torch {manifest.torch}, and this is {torch_release()}"
    if manifest.checkpoint_sha256 != sha256(_checkpoint(patient, path)):
        return "was made from another checkpoint"
    return ""


def _checkpoint(patient: Patient, path: Path) -> Path:
    folder = patient.subject.model.folder
    component, _ = named(path)
    return next(one for one in components_of(folder.family) if one.name == component).checkpoint(folder)


def _opened(patient: Patient, path: Path) -> str:
    try:
        Archive.open(path, checkpoint=_checkpoint(patient, path))
    except ArchiveError as error:
        return f"opened: {str(error).partition(';')[0]}"
    return "opened: it can be loaded"


def _of_cuda(patient: Patient) -> Iterator[tuple[str, str, str]]:
    """Libraries that were built for another CUDA, or for none."""
    versions, gpu = patient.machine.runtimes, patient.machine.gpu
    torchs, onnxruntimes = versions.get("CUDA of torch"), versions.get("CUDA of onnxruntime")
    if gpu is not None and torchs is None:
        yield (
            f"there is a {gpu.name}, and torch {torch_release()} is a build without CUDA",
            f"loaded: the model runs on {patient.device}",
            "install torch with CUDA from pytorch.org",
        )
    if torchs and onnxruntimes and torchs.partition(".")[0] != onnxruntimes.partition(".")[0]:
        yield (
            f"torch is for CUDA {torchs}, onnxruntime for CUDA {onnxruntimes}",
            f"imported: {_answer()}",
            f"install the onnxruntime-gpu that is built for CUDA {torchs.partition('.')[0]}",
        )


def two_onnxruntimes(patient: Patient) -> Finding:
    """Packages that write the same files: which of them answers is chance."""
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
    """Who answers to the name, and what it can run on."""
    try:
        module = runtime("onnxruntime")
    except ImportError as error:
        return f"it cannot be imported, {error}"
    return f"onnxruntime {module.__version__} with {', '.join(module.get_available_providers())}"
