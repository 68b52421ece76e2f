"""TorchScript: encoders run from archives, ours or upstream's.

It is here for those who have such archives, and to be measured: the encoder is a hundredth of the work.
"""

from __future__ import annotations

import copy
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from cosyrt.accel.contract import PARTS, Advice, Availability, Backend, Part, replaced
from cosyrt.accel.distance import largest_difference
from cosyrt.accel.footprint import Footprint
from cosyrt.accel.split_rows import at_most
from cosyrt.accel.torchscript.archive import DTYPES, TOLERANCE, Archive, remedy
from cosyrt.accel.torchscript.stages import Component, components_of
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ArchiveError, MissingDependency, UsageError
from cosyrt.families import FAMILIES, Family
from cosyrt.machine.facts import Machine

if TYPE_CHECKING:
    from cosyrt.engine.model import Accelerate, Model

log = logging.getLogger(__name__)

PRECISIONS = tuple(DTYPES)


def availability() -> Availability:
    """Tell whether this Python and torch run TorchScript."""
    if sys.version_info >= (3, 14):
        return Availability(False, "torch runs no TorchScript on Python 3.14; use Python 3.11 to 3.13")
    if not torch.jit._state._enabled.enabled:
        return Availability(False, "TorchScript is switched off by PYTORCH_JIT=0; unset it")
    return Availability(True)


def archives(precision: str = "fp32", where: str | Path | None = None) -> Accelerate:
    """Accelerator for `cosyrt.load(accelerate=…)`: run the archives of `where`, else of the model folder.

    Raises (when the model is loaded):
        UsageError: an unknown precision, or a family without archives.
        ArchiveError: an archive is missing or does not fit.
        MissingDependency: this Python or torch cannot run TorchScript.
    """

    def accelerate(model: Model) -> Stages:
        folder, networks = model.folder, model.networks
        there = availability()
        if not there.ok:
            raise MissingDependency(there.reason)
        if precision not in PRECISIONS:
            raise UsageError(f"no precision {precision!r}; give {' or '.join(PRECISIONS)}")
        family = FAMILIES[folder.family]
        if family.instead_of_archives:
            raise UsageError(family.instead_of_archives)
        components = components_of(family.name)
        device = model.device
        if precision == "fp16" and device.type == "cpu":
            log.warning("float16 archives are a hundred times slower than float32 ones on a CPU; take fp32")
        at = folder.path if where is None else Path(where)
        opened = [
            Archive.open(
                at / f"{component.name}.{precision}.zip",
                checkpoint=component.checkpoint(folder),
                needs=component.needs,
                device=device,
            )
            for component in components
        ]
        for component, archive in zip(components, opened, strict=True):
            networks = swapped(component, networks, archive)
        archived = eager(networks)
        if any(archive.component == "llm.llm" and not archive.has("step") for archive in opened):
            archived = archived.replacing(step=at_most(1, archived.step))  # upstream's takes one sequence
        names = {name for component in components for name in component.stages}
        return model.stages.replacing(**{name: getattr(archived, name) for name in names})

    return accelerate


def swapped(component: Component, networks: Networks, archive: Archive) -> Networks:
    """Put an archive in the place of its component, after one trial against the plain one.

    Raises:
        ArchiveError: it takes other arguments, or gives something else: without a manifest it may be of any
            checkpoint.
    """
    other = component.swap(networks, archive)
    device = next(networks.flow.parameters()).device
    plain, ours = (component.trial(eager(each), device) for each in (networks, other))
    error = largest_difference([ours], [plain])
    if not error <= TOLERANCE[archive.precision]:
        raise ArchiveError(
            f"{archive.path} is off by {error:.2g} of the model's own largest output: it was made from "
            f"another checkpoint; {remedy(archive.path)}"
        )
    return other


def optimised(
    module: nn.Module, keeps: tuple[str, ...], on_step: Callable[[str], None] = lambda step: None
) -> torch.jit.ScriptModule:
    """Script, freeze, optimise: the weights become constants, and `keeps` stay callable beside forward."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says TorchScript is deprecated; docs/accel.md says so too
        on_step("script")
        script = torch.jit.script(module.eval().requires_grad_(False))
        on_step("freeze")
        frozen = torch.jit.freeze(script, preserved_attrs=list(keeps))
        on_step("optimise")
        return torch.jit.optimize_for_inference(frozen, other_methods=list(keeps))


def build(part: Part, model: Model) -> Stages:
    """Compile one part by TorchScript here and now: nothing is written, and no archive is needed."""
    folder, networks = model.folder, model.networks
    for component in _components(part, folder.family):
        module = copy.deepcopy(component.scripted(networks))
        archive = Archive(
            path=folder.path / f"{component.name}.fp32.zip",  # what it would be called; it is not there
            component=component.name,
            precision="fp32",
            module=optimised(module, component.keeps),
            manifest=None,
        )
        networks = swapped(component, networks, archive)
    return replaced(model.stages, part, eager(networks))


def refusal(part: Part, family: Family) -> str:
    """Why there is nothing of a part of a family to compile; empty if there is."""
    if family.instead_of_archives or _components(part, family.name):
        return family.instead_of_archives
    return f"TorchScript has no part {part} of {family.name}, see docs/accel.md"


def _components(part: Part, family: str) -> list[Component]:
    return [one for one in components_of(family) if set(one.stages) <= set(PARTS[part])]


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge upstream's load_jit=True by its share of the work."""
    reason = (
        "of CosyVoice 2 only flow.encoder is exported, 1 % of the work, so that 1 % is the most it can gain; "
    )
    if machine.gpu is None:
        reason += "torch's builds for CPUs have had no fuser since 2.1, so nothing is gained or lost"
    else:
        reason += (
            "loaded without our switches it is compiled anew for lengths it has not seen: "
            "`cosyrt doctor --torchscript` shows it"
        )
    if machine.runtimes.get("python", "").startswith("3.14"):
        reason += "; torch does not support it in Python 3.14"
    return Advice("leave", reason)


BACKENDS = (
    Backend(
        name="torchscript",
        precision="exact",
        parts=("llm", "encode"),
        availability=lambda device: availability(),
        build=build,
        refusal=refusal,
        predicts=lambda device: 1.1,  # by the book; what it came to is told in docs/accel.md
        option="TorchScript (JIT)",
        advice=advice,
        rows=None,
    ),
)
