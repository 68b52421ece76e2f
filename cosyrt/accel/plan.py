"""Which backend runs which part of a model on this machine, as `tune` found out, and whether it still holds.

A plan is a JSON file in the user's cache folder, one for a model and a kind of device. It says for what it
was made; where anything of that has changed it is stale, and the model runs the plain way.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast, get_args

import torch

import cosyrt
from cosyrt.accel.cache_folder import plans_folder
from cosyrt.accel.contract import Part
from cosyrt.accel.fingerprint import fingerprint, made_of
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import UsageError
from cosyrt.files import check_target, replace_file

FORMAT = 2  # of the file, of the parts, and of what a size means
PACKAGES = ("torch", "openvino", "onnx", "onnxruntime", "tensorrt", "numpy")
CODE = ("models/**/*.py", "engine/**/*.py", "accel/**/*.py")  # of the package


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One part: which backend, and how long its calls took when it was measured."""

    backend: str
    speedup: float
    calls: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # stage → (size, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run with what. No parts: everything was tried and the plain way is the fastest."""

    made_for: dict[str, str]
    parts: dict[Part, Planned]
    speedup: float = 1.0  # of a whole utterance
    made: str = ""  # day and time

    def write(self, path: Path) -> None:
        """Write it; it appears whole or not at all.

        Raises:
            OSError: the folder cannot be made or written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(self), indent=1, ensure_ascii=False).encode())

    @classmethod
    def read(cls, path: Path) -> Plan | None:
        """What is there; None if nothing is, or nothing that can be read as a plan."""
        try:
            found = json.loads(path.read_bytes())
            parts = {
                cast(Part, part): Planned(
                    backend=str(planned["backend"]),
                    speedup=float(planned["speedup"]),
                    calls={
                        str(stage): [(int(size), float(seconds)) for size, seconds in calls]
                        for stage, calls in planned["calls"].items()
                    },
                )
                for part, planned in found["parts"].items()
                if part in get_args(Part)
            }
            made_for = {str(key): str(value) for key, value in found["made_for"].items()}
            return cls(
                made_for=made_for, parts=parts, speedup=float(found["speedup"]), made=str(found["made"])
            )
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            return None

    def stale(self, now: Mapping[str, str]) -> str:
        """What has changed since it was made, in words; empty if nothing has."""
        for key in dict.fromkeys([*self.made_for, *now]):
            before, after = self.made_for.get(key, "nothing"), now.get(key, "nothing")
            if before != after:
                return f"{key} was {before} and is {after}"
        return ""


def check_plans_folder() -> None:
    """Make it and see that it can be written, before the minutes whose result it is to keep.

    Raises:
        UsageError: it cannot.
    """
    folder = plans_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_target(folder / "plan.json")
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"the plan cannot be kept in {folder}: {reason}; set COSYRT_PLANS to another folder"
        ) from error


def plan_path(folder: ModelFolder, device: torch.device) -> Path:
    """Where the plan of a model on a kind of device is, or would be."""
    return plans_folder() / f"{fingerprint(folder)}-{kind_of(device)}.json"


def kind_of(device: torch.device) -> str:
    """A kind of device, as part of a file's name: a machine may have several kinds of cards."""
    if device.type != "cuda":
        return device.type
    return "cuda-" + "".join(c if c.isalnum() else "-" for c in torch.cuda.get_device_name(device))


def fitting(folder: ModelFolder, device: torch.device) -> tuple[Plan | None, str]:
    """The plan of a model on a device if it holds now; else None and why not, if one was made."""
    try:
        if not any(name.endswith(".json") for name in os.listdir(plans_folder())):
            return None, ""  # and no weights need to be read for their digest
    except OSError:
        return None, ""
    path = plan_path(folder, device)
    plan = Plan.read(path)
    if plan is None:
        return None, f"{path} cannot be read" if os.path.exists(path) else ""
    changed = plan.stale(made_for(folder, device))
    return (None, changed) if changed else (plan, "")


def made_for(folder: ModelFolder, device: torch.device) -> dict[str, str]:
    """All that a plan depends on, as it is now."""
    return surroundings(device) | {"model": fingerprint(folder)}


def surroundings(device: torch.device) -> dict[str, str]:
    """All of that but the model."""
    return {
        "plan format": str(FORMAT),
        "device": device_name(device),
        "threads": str(torch.get_num_threads()),
        "cosyrt": f"{cosyrt.__version__} {made_of(cosyrt.__version__, CODE)}",
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def device_name(device: torch.device) -> str:
    """The processor or the GPU, and what of it torch uses."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} {properties.total_memory >> 20} MB CUDA {torch.version.cuda}"
    if device.type == "cpu":
        return f"{_processor()} {torch.backends.cpu.get_cpu_capability()}"
    return f"{device.type} on {platform.machine()}"


@cache
def _processor() -> str:
    """The name of the CPU; where the system does not tell, its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
