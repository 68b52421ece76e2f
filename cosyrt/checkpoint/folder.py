"""A model folder in the official layout: its description, its weights files, its language model's settings.

Data only, strict, safe to point at a download: the description is read as data, `.pt` files are read
without an unpickler, TorchScript archives and TensorRT plans are never opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
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
    variant: str = ""  # of the language model's weights: `rl` for `llm.rl.pt`

    @classmethod
    def open(cls, path: str | Path, *, family: str = "", variant: str = "") -> ModelFolder:
        """Open a folder by its description; the class of its language model decides the family.

        Where several descriptions are there, that of `family` is taken. `variant` chooses among several
        weights of the language model: the published CosyVoice 3 has `llm.rl.pt` beside `llm.pt`.

        Raises:
            ModelNotFound: no such folder, no description in it, several that differ, or no such variant.
            ConfigError: a description cannot be read or is of an unknown family.
        """
        described = cls.described(path)
        chosen = [each for each in described if family in ("", each.family)] or described
        if len({each.family for each in chosen}) > 1:
            kinds = " and one of ".join(each.family for each in chosen)
            raise ModelNotFound(
                f"{path} holds a description of {kinds}; remove one, or open it with the class of the other"
            )
        folder = replace(chosen[-1], variant=variant)
        if variant:
            folder.weights("llm")
        return folder

    @classmethod
    def described(cls, path: str | Path) -> list[ModelFolder]:
        """Open a folder by each of its descriptions, in the order in which upstream looks for them.

        Raises:
            ModelNotFound: no such folder, or no description in it.
            ConfigError: a description cannot be read or is of an unknown family.
        """
        path = expanded(Path(path))
        if not isdir(path):
            raise ModelNotFound(
                f"no model folder at {one_line(path)}; give the folder that holds cosyvoice2.yaml"
            )
        found = [name for name in DESCRIPTIONS if isfile(path / name)]
        if not found:
            raise ModelNotFound(
                f"{path} has no description; one of {', '.join(DESCRIPTIONS)} must be in a model folder"
            )
        described = [(path / name, read_description(path / name)) for name in found]
        return [cls(path, _family(file, description), description) for file, description in described]

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
        stem = f"{name}.{self.variant}" if name == "llm" and self.variant else name
        paths = [self.path / f"{stem}{suffix}" for suffix in (".safetensors", ".pt")]
        found = next((path for path in paths if isfile(path)), None)
        if found is None and stem != name:
            others = self.variants()
            advice = f"give {' or '.join(others)}, or leave it out" if others else "leave it out"
            raise ModelNotFound(f"{self.path} has no weights {self.variant!r} ({stem}.pt); {advice}")
        return found or self.file(f"{name}.pt")

    def variants(self) -> list[str]:
        """The names of further weights of the language model: `rl` where there is `llm.rl.pt`."""
        files = (path for path in self.path.glob("llm.*.*") if path.suffix in (".safetensors", ".pt"))
        return sorted({path.stem.removeprefix("llm.") for path in files} - {"text_encoder", "llm"})

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
