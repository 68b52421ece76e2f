"""The parts of a machine that matter for speech: read from a description file, or looked up (`probe.py`).

A description is the JSON that `cosyrt device --json` prints under `machine`; what it leaves out is unknown.
MB are mebibytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cosyrt.errors import UsageError

Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """A processor and the share of it that may be used."""

    name: str = "unknown"
    cores: int | None = None
    instruction_sets: tuple[str, ...] = ()  # as /proc/cpuinfo writes them: avx2, avx512f, amx_bf16 …


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A graphics card with CUDA."""

    name: str
    memory_mb: Number
    used_mb: Number = 0
    capability: str | None = None  # compute capability: 8.6
    driver: str | None = None
    cuda: str | None = None  # the newest that the driver supports
    utilisation_percent: Number | None = None
    memory_gb_s: Number | None = None  # how fast its memory is read

    @property
    def free_mb(self) -> float:
        """The memory that is free."""
        return self.memory_mb - self.used_mb

    def reaches(self, major: int, minor: int) -> bool | None:
        """Whether the compute capability is at least this; None if it is unknown."""
        if self.capability is None:
            return None
        return tuple(int(part) for part in self.capability.split(".")) >= (major, minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A processor, its memory, graphics cards, and the software that could use them."""

    system: str = "unknown"  # Linux x86_64, Windows AMD64, Darwin arm64
    cpu: Cpu = Cpu()
    ram_mb: Number | None = None
    ram_free_mb: Number | None = None
    gpus: tuple[Gpu, ...] = ()
    runtimes: Mapping[str, str] = field(default_factory=dict)  # package → version
    notes: tuple[str, ...] = ()  # what is wrong with it, in a line each

    @property
    def gpu(self) -> Gpu | None:
        """The first graphics card."""
        return self.gpus[0] if self.gpus else None

    @property
    def is_windows(self) -> bool:
        """Whether the system is Windows, where a full graphics card silently spills into main memory."""
        return self.system.startswith("Windows")

    def has(self, *instruction_sets: str) -> bool:
        """Whether the processor has one of these instruction sets."""
        return any(name in self.cpu.instruction_sets for name in instruction_sets)

    def as_data(self) -> dict[str, Any]:
        """The machine as data for JSON, which `read` takes back."""
        return asdict(self)

    @classmethod
    def read(cls, path: str | Path) -> Machine:
        """Read a machine from a description file.

        Raises:
            UsageError: it cannot be read, or says something that is not known here.
        """
        try:
            data = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror or error}; "
                "give a file that `cosyrt device --json` has printed"
            ) from error
        except ValueError as error:
            raise UsageError(f"{path} is no description of a machine: {error}") from error
        if isinstance(data, dict) and isinstance(data.get("machine"), dict):
            data = data["machine"]  # all of `cosyrt device --json`
        try:
            return cls(**_known(cls, data))
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path} is no description of a machine: {error}") from error


def _known(kind: type, data: object) -> dict[str, Any]:
    """The fields of a description, each checked to be of the right type."""
    if not isinstance(data, dict):
        raise TypeError(f"expected an object with fields, got {data!r:.40}")
    names = [each.name for each in fields(kind)]
    for name in data:
        if name not in names:
            raise ValueError(f"{name!r} is not known; there are {', '.join(names)}")
    return {name: _value(name, value) for name, value in data.items() if value is not None}


def _value(name: str, value: object) -> object:
    if name == "cpu":
        return Cpu(**_known(Cpu, value))
    if name == "gpus":
        return tuple(Gpu(**_known(Gpu, each)) for each in _of_type(name, value, list))
    if name in ("instruction_sets", "notes"):
        return tuple(_of_type(name, each, str) for each in _of_type(name, value, list))
    if name == "runtimes":
        return {each: _of_type(each, version, str) for each, version in _of_type(name, value, dict).items()}
    if name == "capability":
        return _capability(_of_type(name, value, str))
    numeric = name == "cores" or name.endswith(("_mb", "_percent", "_gb_s"))
    return _of_type(name, value, (int, float) if numeric else str)


def _of_type(name: str, value: object, kind: Any) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} cannot be {value!r:.40}")
    return value


def _capability(text: str) -> str:
    major, dot, minor = text.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        raise ValueError(f"a compute capability looks like 8.6, not {text!r}")
    return text
