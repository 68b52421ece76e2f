"""Looks up the parts of this machine: psutil, NVML, torch and the installed packages are asked."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from cosyrt.machine.facts import Cpu, Gpu, Machine
from cosyrt.machine.gpu import find_gpus
from cosyrt.machine.memory import ram
from cosyrt.startup import runtime
from cosyrt.units import MIB

PACKAGES = (
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nncf",
    "tensorrt",
    "tensorrt-rtx",
    "torch-tensorrt",
    "torchao",
    "triton",
    "triton-windows",
    "onnx",
    "vllm",
    "llama-cpp-python",
)
COMPILERS = ("c++", "g++", "clang++", "cl")
# Of all that a processor can do, what decides how fast matrices are multiplied.
TELLING = re.compile(r"avx|avx2|fma|f16c|avx512\w*|avx_vnni\w*|amx_\w+|asimd\w*|sve\w*|bf16|i8mm")
CPUS = Path("/sys/devices/system/cpu")


def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    gpus, wrong = find_gpus()
    runtimes, memory = _runtimes(), ram()
    notes = [*filter(None, [wrong]), *_contradictions(gpus, runtimes)]
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=Cpu(name=cpu_name(), cores=usable_cores(), instruction_sets=_instruction_sets()),
        ram_mb=memory.total // MIB,
        ram_free_mb=memory.available // MIB,
        gpus=gpus,
        runtimes=runtimes,
        notes=tuple(notes),
    )


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    return len(_affinity())


def physical_cores() -> int:
    """Physical cores that this process may run on, within the container's share of time."""
    usable, quota = _affinity(), _cpu_quota()
    cores = len(_siblings(usable)) or psutil.cpu_count(logical=False) or len(usable)
    return max(1, min(len(usable), cores, *([] if quota is None else [int(quota)])))


def _affinity() -> list[int]:
    """The numbers of the logical cores that this process may run on."""
    if hasattr(psutil.Process, "cpu_affinity"):  # not on macOS
        return psutil.Process().cpu_affinity()
    return list(range(psutil.cpu_count() or 1))


def _siblings(cores: list[int]) -> set[str]:
    """The physical cores to which logical ones belong, each as the list of its threads; empty but on Linux.

    psutil counts the cores of the machine, whatever this process may run on.
    """
    files = (CPUS / f"cpu{number}" / "topology" / "thread_siblings_list" for number in cores)
    return {file.read_text(encoding="ascii") for file in files if file.is_file()}


def _cpu_quota() -> float | None:
    """The number of cores whose time a container may use; None where there is no limit."""
    path = Path("/sys/fs/cgroup/cpu.max")
    if not path.is_file():
        return None
    quota, _, period = path.read_text(encoding="ascii").partition(" ")
    return None if quota == "max" else int(quota) / int(period)


def _cpuinfo(*names: str) -> str:
    """A field of the first processor in /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in fields if name.strip() in names), "")


@cache
def cpu_name() -> str:
    """The name of the processor; its kind where the system does not give one."""
    return _cpuinfo("model name", "Model") or platform.processor() or platform.machine()


def _instruction_sets() -> tuple[str, ...]:
    """The instruction sets of the processor: all on Linux, elsewhere the widest that torch would use."""
    flags = _cpuinfo("flags", "Features").split()
    if flags:
        return tuple(sorted({flag for flag in flags if TELLING.fullmatch(flag)}))
    import torch

    widest = torch.backends.cpu.get_cpu_capability().lower()
    known = {"avx2": ("avx2",), "avx512": ("avx2", "avx512f")}
    return known.get(widest, () if widest in ("default", "no avx") else (widest,))


def _runtimes() -> dict[str, str]:
    """Installed packages and programs that can run a model, or make something that does."""
    found = {name: version for name in PACKAGES if (version := _version(name))}
    import torch

    if torch.version.cuda:
        found["CUDA of torch"] = torch.version.cuda
        found["cuDNN of torch"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    if cuda := _cuda_of_onnxruntime():
        found["CUDA of onnxruntime"] = cuda
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler:
        found["C++ compiler"] = compiler
    return found | {"python": platform.python_version()}


def _cuda_of_onnxruntime() -> str:
    """The CUDA release that ONNX Runtime was built for; empty for a build without."""
    try:
        build = runtime("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return ""
    return str(getattr(build, "cuda_version", ""))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _contradictions(gpus: tuple[Gpu, ...], runtimes: dict[str, str]) -> Iterator[str]:
    """Name software that does not fit the hardware, or other software."""
    if gpus and "CUDA of torch" not in runtimes:
        yield (
            f"torch {runtimes.get('torch', '')} is a build without CUDA: the {gpus[0].name} is not used; "
            "install torch with CUDA from pytorch.org"
        )
    if {"onnxruntime", "onnxruntime-gpu"} <= runtimes.keys():
        yield "onnxruntime and onnxruntime-gpu overwrite each other; uninstall both, then install one of them"
