"""A loaded model as one value: the folder it was read from, its networks, and the stages that run them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from os.path import isdir
from pathlib import Path
from types import ModuleType

import torch

from cosyrt.arguments import check_kind, path_of
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.family import ModelSettings
from cosyrt.engine.pace import Calls
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ModelNotFound, UsageError, one_line
from cosyrt.families import FAMILIES
from cosyrt.machine.mapped import unread_bytes
from cosyrt.models.llm import WORDS
from cosyrt.startup import check_surroundings

log = logging.getLogger(__name__)

BUILTIN = Path(__file__).parent.parent / "builtin"
Builder = Callable[[ModelFolder], tuple[ModelSettings, Networks]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedModel:
    """A model as its folder describes it, without weights: enough to read texts and to make voices for it."""

    folder: ModelFolder
    settings: ModelSettings
    device: torch.device

    @classmethod
    def read(cls, folder: str | Path | ModelFolder | None = None) -> DescribedModel:
        """Read the description of a model folder, or of the built-in voice without one.

        Raises:
            ModelError: the folder or its description cannot be used. UsageError: a folder that is no path.
        """
        opened = folder if isinstance(folder, ModelFolder) else folder_of(folder)
        settings: ModelSettings = family_module(opened).settings_of(opened)
        return cls(folder=opened, settings=settings, device=torch.device("cpu"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(DescribedModel):
    """Everything that is known of one loaded model. Loading, tuning, measuring and diagnosing all take it."""

    networks: Networks
    plain: Stages  # the networks run by torch, operation by operation
    stages: Stages  # what speech is made with: the plain stages, or faster ones in place of some
    calls: Calls = field(default_factory=dict)  # how long its stages take, where a plan has measured it
    chunked: bool = False  # whole speech is made as it is streamed, because a plan says so

    @classmethod
    def open(
        cls, folder: str | Path | ModelFolder | None = None, device: str | torch.device | None = None
    ) -> Model:
        """Load a model folder, or the built-in voice without one; its stages are the plain ones.

        Raises:
            ModelError: the folder, its description or its weights cannot be used.
            UsageError: no such device, a folder that is no path, or surroundings that no library survives.
        """
        check_surroundings()
        torch_device = device_of(device)
        opened = folder if isinstance(folder, ModelFolder) else folder_of(folder)
        settings, networks = build(opened)
        log.info("language model: %s", opened.weights("llm").name)
        if torch_device.type != "cpu":  # weights are read into main memory
            networks = networks.to(torch_device)
        plain = eager(networks)
        return cls(
            folder=opened,
            settings=settings,
            networks=networks,
            plain=plain,
            stages=plain,
            device=torch_device,
        )

    @property
    def unread_bytes(self) -> int:
        """Memory that weights of plain stages will take once they are read, the table of words left out."""
        networks = self.networks
        stages = (("step", networks.llm), ("velocity", networks.flow), ("vocode", networks.vocoder))
        return unread_bytes(
            weight
            for stage, network in stages
            if getattr(self.stages, stage) is getattr(self.plain, stage)
            for name, weight in network.named_parameters()
            if not name.startswith(WORDS)
        )


# An acceleration: a model → stages for it, which take the place of its own. `cosyrt.load` takes one.
Accelerate = Callable[[Model], Stages]


def folder_of(folder: str | Path | None, weights: str = "") -> ModelFolder:
    """The folder of a model, of the built-in voice without one; `weights` chooses among its language models.

    Raises:
        ModelError: there is none, or its description cannot be used. UsageError: it is no path.
    """
    check_kind(weights, str, "weights", "give the name of a variant, such as 'rl' for llm.rl.pt")
    return ModelFolder.open(BUILTIN if folder is None else _readable(folder), variant=weights)


def _readable(folder: str | Path) -> Path:
    """The path of a model folder, if the libraries that read its files can be given it.

    Raises:
        UsageError: it is no path. ModelNotFound: a folder whose name is not UTF-8.
    """
    path = path_of(folder, "a model folder is")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        if isdir(path):
            name = ascii(str(path))
            raise ModelNotFound(f"the name of the folder {name} is not UTF-8; give it another") from error
    return path


def build(folder: ModelFolder) -> tuple[ModelSettings, Networks]:
    """Read the settings of a folder and make its networks, weights loaded.

    Raises:
        ModelError: the description or the weights cannot be used.
    """
    build_family: Builder = family_module(folder).build
    return build_family(folder)


def family_module(folder: ModelFolder) -> ModuleType:
    """The file of `cosyrt.engine` that knows the family of a folder."""
    return import_module(f"cosyrt.engine.{FAMILIES[folder.family].module}")


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of that name; None takes CUDA when there is a GPU.

    Raises:
        UsageError: no such device.
    """
    check_kind(name, str | torch.device | None, "the device", "give its name, such as 'cpu' or 'cuda:0'")
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        there = torch.zeros(0, device=name)
        there.cpu()  # what gives nothing back, such as `meta`, cannot speak
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = one_line(str(error).partition(". ")[0], 200)  # torch goes on for a page
        raise UsageError(f"the device {str(name)!r} cannot be used: {reason}; try cpu") from error
    return there.device
