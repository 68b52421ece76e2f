"""What this machine is made of: /proc, nvidia-smi, torch, and the packages that are installed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from cosyrt.machine.facts import Cpu, Gpu, Machine
from cosyrt.machine.memory import ram_bytes
from cosyrt.startup import runtime

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
QUERY = {
    "name": "name",
    "memory.total": "memory_mb",
    "memory.used": "used_mb",
    "compute_cap": "capability",
    "driver_version": "driver",
    "utilization.gpu": "utilisation_percent",
}
NUMERIC = ("memory_mb", "used_mb", "utilisation_percent")
MB = 1 << 20


def this_machine() -> Machine:
    """Look everything up; imports torch."""
    notes: list[str] = []
    gpus = tuple(_gpus(notes))
    runtimes = _runtimes()
    notes += _contradictions(gpus, runtimes)
    total, free = ram_bytes()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=Cpu(name=cpu_name(), cores=usable_cores(), instruction_sets=_instruction_sets()),
        ram_mb=total and total // MB,
        ram_free_mb=free and free // MB,
        gpus=gpus,
        runtimes=runtimes,
        notes=tuple(notes),
    )


def usable_cores() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_cores() -> int:
    """Those that compute: second threads of a core left out, and within the container's share of time."""
    usable, quota = usable_cores(), _cpu_quota()
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    cores = len(set(cores_of(text))) or usable
    return max(1, min(usable, cores, *([] if quota is None else [int(quota)])))


def cores_of(cpuinfo: str) -> Iterator[tuple[str, str]]:
    """(package, core) of each processor that this process may run on; nothing where it is not told."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for block in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        told = {name.strip(): value.strip() for name, _, value in pairs}
        number = told.get("processor", "")
        if "core id" in told and number.isdecimal() and (usable is None or int(number) in usable):
            yield told.get("physical id", ""), told["core id"]


def _cpu_quota() -> float | None:
    """Cores' worth of time that a container may use; None where there is no limit."""
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
    """The name of the processor; where the system does not tell, its kind."""
    return _cpuinfo("model name", "Model") or platform.processor() or platform.machine()


def _instruction_sets() -> tuple[str, ...]:
    """Linux tells all; elsewhere torch tells the widest it would use."""
    flags = _cpuinfo("flags", "Features").split()
    if flags:
        return tuple(sorted({flag for flag in flags if TELLING.fullmatch(flag)}))
    import torch

    widest = torch.backends.cpu.get_cpu_capability().lower()
    known = {"avx2": ("avx2",), "avx512": ("avx2", "avx512f")}
    return known.get(widest, () if widest in ("default", "no avx") else (widest,))


def _gpus(notes: list[str]) -> Iterator[Gpu]:
    """As nvidia-smi tells, else as torch does."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield from _gpus_of_torch()
        return
    table = _output(program, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits")
    if table is None:
        notes.append("nvidia-smi is there but fails: the driver is not loaded or does not match; reboot")
        return
    heading = re.search(r"CUDA Version:\s*([\d.]+)", _output(program) or "")
    for line in table.splitlines():
        yield gpu_of(line, heading[1] if heading else None)


def gpu_of(line: str, cuda: str | None) -> Gpu:
    """From a line of `nvidia-smi --query-gpu`; what the card does not tell is unknown."""
    values = dict(zip(QUERY.values(), (value.strip() for value in line.split(",")), strict=True))
    known = {name: value for name, value in values.items() if not value.startswith(("[", "N/A"))}
    numbers = {name: float(value) for name, value in known.items() if name in NUMERIC}
    words = {name: value for name, value in known.items() if name not in NUMERIC}
    return Gpu(**{"memory_mb": 0.0} | words | numbers, cuda=cuda)  # type: ignore[arg-type]


def _output(*command: str) -> str | None:
    """What a program prints; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _gpus_of_torch() -> Iterator[Gpu]:
    import torch

    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield Gpu(
            name=facts.name,
            memory_mb=total // MB,
            used_mb=(total - free) // MB,
            capability=f"{facts.major}.{facts.minor}",
        )


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
    """The CUDA that it was built for; empty for a build without."""
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
    """Software that does not fit the hardware, or itself."""
    if gpus and "CUDA of torch" not in runtimes:
        yield (
            f"torch {runtimes.get('torch', '')} is a build without CUDA: the {gpus[0].name} is not used; "
            "install torch with CUDA from pytorch.org"
        )
    if {"onnxruntime", "onnxruntime-gpu"} <= runtimes.keys():
        yield "onnxruntime and onnxruntime-gpu overwrite each other; uninstall both, then install one of them"
