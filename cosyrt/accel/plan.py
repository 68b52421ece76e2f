"""Which backend runs which part of a model on this machine, as `tune` found out, and whether it still holds.

A plan is a JSON file in the user's cache folder, one for a model, a kind of device, a number of streams and,
on a processor, of threads. It says for what it was made; where anything of that has changed it is stale, and
the model runs without acceleration.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import Any, Literal, cast, get_args

import torch

import cosyrt
from cosyrt.accel.contract import Part
from cosyrt.accel.fingerprint import as_file_name, code_digest, device_name, fingerprint, versions
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import UsageError
from cosyrt.files import CACHE_VARIABLE, cache_folder, check_target, replace_file
from cosyrt.models.solver import Solver

CallTable = dict[str, list[tuple[int, float]]]  # stage → (size, seconds) of its calls

FORMAT = 5  # of the file, of the parts, and of what a size means


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The backend of one part, and how long its calls took when it was measured."""

    backend: str
    speedup: float
    calls: CallTable = field(default_factory=dict)
    streams: int = 1  # utterances that were measured at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSolver:
    """A solver in place of the model's own, which somebody allowed, and what is known of it."""

    name: str
    times: list[float]
    guidance: list[float]
    order: Literal[1, 2]
    closeness: str  # of its mel, as `tune` names it
    distance_db: float  # of its mel from the converged one
    speedup: float  # of the flow

    @property
    def solver(self) -> Solver:
        """The solver itself."""
        return Solver(times=tuple(self.times), guidance=tuple(self.guidance), order=self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The backend of each part of a model; no parts where plain PyTorch was the fastest of all."""

    made_for: dict[str, str]
    parts: dict[Part, Planned]
    speedup: float = 1.0  # of a whole utterance
    made: str = ""  # day and time
    solver: PlannedSolver | None = None  # None: the model's own
    calls: CallTable = field(default_factory=dict)  # of all stages, where they were timed together
    chunked: bool = False  # whole speech is made as it is streamed, which somebody allowed

    def write(self, path: Path) -> None:
        """Write the plan; the file appears whole or not at all.

        Raises:
            OSError: the folder cannot be made or written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(self), indent=1, ensure_ascii=False).encode())

    @classmethod
    def read(cls, path: Path) -> Plan | None:
        """Read a plan; None if there is no file, or none that can be read as a plan."""
        try:
            found = json.loads(path.read_bytes())
            parts = {
                cast(Part, part): Planned(
                    backend=str(planned["backend"]),
                    speedup=float(planned["speedup"]),
                    calls=_calls(planned["calls"]),
                    streams=int(planned["streams"]),
                )
                for part, planned in found["parts"].items()
                if part in get_args(Part)
            }
            made_for = {str(key): str(value) for key, value in found["made_for"].items()}
            solver = found.get("solver")
            return cls(
                made_for=made_for,
                parts=parts,
                speedup=float(found["speedup"]),
                made=str(found["made"]),
                solver=None if solver is None else _solver(solver),
                calls=_calls(found["calls"]),
                chunked=found["chunked"] is True,
            )
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            return None

    def stale(self, now: Mapping[str, str]) -> str:
        """Say what has changed since the plan was made; empty if nothing has."""
        for key in dict.fromkeys([*self.made_for, *now]):
            before, after = self.made_for.get(key, "nothing"), now.get(key, "nothing")
            if before != after:
                return f"{key} was {before} and is {after}"
        return ""


def _calls(found: Mapping[str, Any]) -> CallTable:
    return {
        str(stage): [(int(size), float(seconds)) for size, seconds in calls] for stage, calls in found.items()
    }


def _solver(found: Mapping[str, Any]) -> PlannedSolver:
    """Read a solver; one that does not lead from noise to mel is an error."""
    times, guidance = [[float(number) for number in found[key]] for key in ("times", "guidance")]
    order = {1: 1, 2: 2}[found["order"]]
    if len(times) != len(guidance) + 1 or times[0] != 0 or any(after <= at for at, after in pairwise(times)):
        raise ValueError("times of a solver must rise from 0, one more than its steps")
    return PlannedSolver(
        name=str(found["name"]),
        times=times,
        guidance=guidance,
        order=1 if order == 1 else 2,
        closeness=str(found["closeness"]),
        distance_db=float(found["distance_db"]),
        speedup=float(found["speedup"]),
    )


def plans_folder() -> Path:
    """Where plans are kept: `COSYRT_PLANS`, else in the user's cache folder."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else cache_folder() / "plans"


def check_plans_folder() -> None:
    """Make the folder of plans and check that it can be written, before minutes are spent on a plan.

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


def plan_path(folder: ModelFolder, device: torch.device, streams: int = 1) -> Path:
    """Where the plan of a model on a kind of device is, or would be, for the threads of this process."""
    threads = f"-{torch.get_num_threads()}threads" if device.type == "cpu" else ""
    together = f"-{streams}streams" if streams > 1 else ""
    return plans_folder() / f"{fingerprint(folder)}-{kind_of(device)}{threads}{together}.json"


def kind_of(device: torch.device) -> str:
    """A kind of device, as part of a file's name: a machine may have several kinds of cards."""
    if device.type != "cuda":
        return device.type
    return "cuda-" + as_file_name(torch.cuda.get_device_name(device))


def fitting(folder: ModelFolder, device: torch.device, streams: int = 1) -> tuple[Plan | None, str]:
    """The plan of a model on a device if it holds now; else None, why not, and how to make one that does.

    Of the plans for several streams it is the one for the most of them, up to those that are wanted. The
    reason is empty where no plan was ever made.
    """
    if not _has_plans():
        return None, ""  # and no weights need to be read for their digest
    measured_for = max((each for each in _streams_measured(folder, device) if each <= streams), default=1)
    path, again = plan_path(folder, device, measured_for), f"cosyrt tune {quote(str(folder.path))}"
    if measured_for > 1:
        again += f" --streams {measured_for}"
    plan = Plan.read(path)
    if plan is not None:
        changed = plan.stale(made_for(folder, device, measured_for))
        return (None, f"{changed}; make it again with: {again}") if changed else (plan, "")
    if os.path.exists(path):
        return None, f"{path} cannot be read; make it again with: {again}"
    if measured := sorted(_threads_measured(folder, device)):
        threads = torch.get_num_threads()
        return None, (
            f"it was measured with {_counted(measured)}, and this process has {threads}; "
            f"make one for {threads} with: OMP_NUM_THREADS={threads} {again}"
        )
    return None, ""


def _has_plans() -> bool:
    try:
        return any(name.endswith(".json") for name in os.listdir(plans_folder()))
    except OSError:
        return False


def _streams_measured(folder: ModelFolder, device: torch.device) -> Iterator[int]:
    """The numbers of streams, more than one, that there are plans for."""
    one = plan_path(folder, device).stem
    for path in plans_folder().glob(f"{one}-*streams.json"):
        count = path.stem.removeprefix(f"{one}-").removesuffix("streams")
        if count.isdecimal():
            yield int(count)


def _threads_measured(folder: ModelFolder, device: torch.device) -> Iterator[int]:
    """The numbers of threads for which a plan of this model on this processor has something to run."""
    if device.type != "cpu":
        return
    for path in plans_folder().glob(f"{fingerprint(folder)}-{kind_of(device)}-*threads.json"):
        plan = Plan.read(path)
        if plan is not None and (plan.parts or plan.solver) and plan.made_for.get("threads", "").isdecimal():
            yield int(plan.made_for["threads"])


def _counted(threads: list[int]) -> str:
    """`1 thread`, `2 threads`, `1 or 2 threads`."""
    return " or ".join(map(str, threads)) + (" thread" if threads == [1] else " threads")


def made_for(folder: ModelFolder, device: torch.device, streams: int = 1) -> dict[str, str]:
    """Everything that a plan depends on, as it is now."""
    return surroundings(device) | {"model": fingerprint(folder), "streams": str(streams)}


def surroundings(device: torch.device) -> dict[str, str]:
    """Everything that a plan depends on except the model.

    Threads matter on a processor alone: a GPU runs all parts of a plan, and one thread feeds it.
    """
    threads = {"threads": str(torch.get_num_threads())} if device.type == "cpu" else {}
    return {
        "plan format": str(FORMAT),
        "device": device_name(device),
        **threads,
        "cosyrt": f"{cosyrt.__version__} {code_digest('models', 'engine', 'accel')}",
        "python": platform.python_version(),
        **versions(),
    }
