"""A model folder in the official layout: its description, its weights files, its language model's settings.

Data only, strict, safe to point at a download: the description is read as data, `.pt` files are read
without an unpickler, TorchScript archives and TensorRT plans are never opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from os.path import isdir, isfile  # unlike those of Path, they answer for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosyrt.arguments import expanded
from cosyrt.checkpoint.hyperyaml import Tagged, read_description
from cosyrt.checkpoint.tensors import read_tensors
from cosyrt.errors import ConfigError, ModelNotFound, one_line, reason_of
from cosyrt.families import FAMILIES

if TYPE_CHECKING:
    import torch

WeightsFile = Literal["llm", "flow", "hift"]  # the official names, without their suffix

# The class of the language model decides the family. The file's name does not: CosyVoice2-0.5B folders from
# before April 2025 carry a `cosyvoice.yaml`.
NAMES = {family.described_as: family.name for family in FAMILIES.values()}
DESCRIPTIONS = tuple(f"{name}.yaml" for name in FAMILIES)
LANGUAGE_MODEL = "CosyVoice-BlankEN"
MAX_JSON_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder of a known family. Opening reads the description; tensors are read when asked for."""

    path: Path
    family: str  # its name in `FAMILIES`
    description: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Open a folder by its description; the class of its language model decides the family.

        Raises:
            ModelNotFound: no such folder, or not exactly one description in it.
            ConfigError: the description cannot be read or is of an unknown family.
        """
        path = expanded(Path(path))
        if not isdir(path):
            raise ModelNotFound(
                f"no model folder at {one_line(path)}; give the folder that holds cosyvoice2.yaml"
            )
        found = [name for name in DESCRIPTIONS if isfile(path / name)]
        if len(found) != 1:
            what = f"holds {' and '.join(found)}" if found else "has no description"
            raise ModelNotFound(
                f"{path} {what}; exactly one of {', '.join(DESCRIPTIONS)} must be in a model folder"
            )
        description = read_description(path / found[0])
        return cls(path, _family(path / found[0], description), description)

    def file(self, name: str) -> Path:
        """The path of a file of the folder.

        Raises:
            ModelNotFound: it is not there.
        """
        path = self.path / name
        if not isfile(path):
            raise ModelNotFound(f"{self.path} lacks the file {name}; download the whole model folder again")
        return path

    def weights(self, name: WeightsFile) -> Path:
        """The path of a weights file: `NAME.safetensors` if it is there, else `NAME.pt`.

        Raises:
            ModelNotFound: neither file is there.
        """
        ours = self.path / f"{name}.safetensors"
        return ours if isfile(ours) else self.file(f"{name}.pt")

    def tensors(self, name: WeightsFile) -> dict[str, torch.Tensor]:
        """The tensors of a weights file, as `read_tensors` gives them.

        Raises:
            ModelNotFound: the file is not there.
            WeightsError: the file is damaged, too large, or holds anything but dense tensors.
        """
        return read_tensors(self.weights(name))

    def language_model(self) -> dict[str, Any]:
        """The configuration of the Qwen2 language model, as `CosyVoice-BlankEN/config.json` has it.

        Raises:
            ModelNotFound: the file is not there.
            ConfigError: it is not a JSON object.
        """
        path = self.file(f"{LANGUAGE_MODEL}/config.json")
        try:
            if path.stat().st_size > MAX_JSON_BYTES:
                raise ValueError(f"larger than {MAX_JSON_BYTES} bytes")
            config = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not readable as JSON: {reason_of(error)}") from error
        if not isinstance(config, dict):
            raise ConfigError(f"{path} holds a {type(config).__name__} where an object of settings should be")
        return config

    def tokenizer_folder(self) -> Path:
        """The folder of the text tokenizer's files.

        Raises:
            ModelNotFound: it is not there.
        """
        path = self.path / LANGUAGE_MODEL
        if not isdir(path):
            raise ModelNotFound(
                f"{self.path} lacks the folder {LANGUAGE_MODEL}; download the whole model folder again"
            )
        return path


def _family(path: Path, description: dict[str, Any]) -> str:
    llm = description.get("llm")
    name = llm.tag.rpartition(".")[2] if isinstance(llm, Tagged) else repr(llm)[:40]
    if name not in NAMES:
        raise ConfigError(f"{path}: 'llm' is {name}; known are {', '.join(NAMES)}")
    return NAMES[name]
