"""A model folder → the networks of its family with their weights, and how to drive them."""

from __future__ import annotations

from collections.abc import Callable

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine import cosyvoice1, cosyvoice2, cosyvoice3
from cosyrt.engine.family import Description
from cosyrt.engine.stages import Models
from cosyrt.errors import ConfigError

Builder = Callable[[ModelFolder], tuple[Description, Models]]
FAMILIES: dict[str, Builder] = {
    "cosyvoice": cosyvoice1.build,
    "cosyvoice2": cosyvoice2.build,
    "cosyvoice3": cosyvoice3.build,
}


def build(folder: ModelFolder) -> tuple[Description, Models]:
    """The description and the networks of a folder, weights loaded.

    Raises:
        ModelError: the folder is of a family not known here, or its description or weights cannot be used.
    """
    if folder.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(f"{folder.path} is a {folder.family} model; this version runs {known}")
    return FAMILIES[folder.family](folder)
