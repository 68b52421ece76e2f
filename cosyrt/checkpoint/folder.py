"""A model folder in the official layout: its description, its tensors, its voices.

Data only, strict, safe to point at a download: the description is read as data, `.pt` files are looked
through before torch's weights-only reader has them, TorchScript archives and TensorRT plans are never opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import isdir, isfile  # unlike those of Path, they answer for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosyrt.checkpoint.hyperyaml import Node, read_description
from cosyrt.checkpoint.pickles import MAX_TENSOR_BYTES, read_pickled
from cosyrt.errors import ConfigError, ModelNotFound, WeightsError, one_line, reason_of
from cosyrt.files import replace_file

if TYPE_CHECKING:
    import torch

__all__ = [
    "ModelFolder",
    "Node",
    "Part",
    "load_into",
    "read_description",
    "read_voices",
    "write_tensors",
    "write_voices",
]

Part = Literal["llm", "flow", "hift"]

# The class of the language model decides the family. The file's name does not: CosyVoice2-0.5B folders from
# before April 2025 carry a `cosyvoice.yaml`.
FAMILIES = {"TransformerLM": "cosyvoice", "Qwen2LM": "cosyvoice2", "CosyVoice3LM": "cosyvoice3"}
DESCRIPTIONS = ("cosyvoice.yaml", "cosyvoice2.yaml", "cosyvoice3.yaml")
LANGUAGE_MODEL = "CosyVoice-BlankEN"
MAX_VOICES, MAX_FIELDS = 10_000, 100  # of one: upstream's have a dozen
MAX_JSON_BYTES = 1_000_000
KINDS = set(  # of numbers that are read
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 int64 int32 int16 int8 uint8 bool".split()
)
FLOAT_BYTES = 4
MAX_GROWTH = 4  # of a float8 that becomes a float32
# Where torch keeps magnitude and direction of a weight-normed layer, new style and old.
NORM_KEYS = (
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ("weight_g", "weight_v"),
)
TRAINING_KEYS = ("epoch", "step")  # training checkpoints carry these beside the tensors


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A CosyVoice 1, 2 or 3 model folder. Opening reads the description; tensors are read when asked for."""

    path: Path
    family: str
    description: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Open a folder by its description; the family is told by the class of its language model.

        Raises:
            ModelNotFound: no such folder, or not exactly one description in it.
            ConfigError: the description cannot be read or is of an unknown family.
        """
        path = Path(path)
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

    def weights(self, part: Part) -> Path:
        """The file that a part's tensors are read from.

        Raises:
            ModelNotFound: it is not there.
        """
        ours = self.path / f"{part}.safetensors"
        return ours if isfile(ours) else self.file(f"{part}.pt")

    def tensors(self, part: Part) -> dict[str, torch.Tensor]:
        """The weights of one part by their official keys, as float32, weight norm folded into `weight`.

        `PART.safetensors` is preferred to `PART.pt`. Both are mapped from disk: float32 is not copied.

        Raises:
            ModelNotFound: neither file is there.
            WeightsError: the file is damaged, too large, or holds anything but dense tensors.
        """
        path = self.weights(part)
        tensors: dict[str, torch.Tensor] = {}
        dense = _Dense(path)
        for key, value in _records(path):
            name = key.removeprefix("generator.")  # a vocoder saved by adversarial training
            if name in TRAINING_KEYS:
                continue
            if name in tensors:
                raise WeightsError(
                    f"{path} holds {name!r} twice, with and without 'generator.'; keep one of them"
                )
            tensors[name] = dense.float32(key, value)
        return _fold_weight_norm(path, tensors)

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

    def voices(self) -> dict[str, dict[str, Any]]:
        """The registered voices by name, the fields of each: tensors or text. Empty if there are none.

        Read from `spk2info.safetensors` (see `write_voices`), else from the official `spk2info.pt`.

        Raises:
            WeightsError: the file is damaged or holds anything but fields of tensors, text and numbers.
        """
        ours, official = self.path / "spk2info.safetensors", self.path / "spk2info.pt"
        if isfile(ours):
            return read_voices(ours)
        return read_voices(official) if isfile(official) else {}


def load_into(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    file: str | Path,
    rename: Callable[[str], str | None] | None = None,
) -> None:
    """Give a module its weights: each of its tensors once, no other, shapes equal. Assigned, not copied.

    `rename` maps a key of the file to the module's own name, or to None for a tensor it does without.

    Raises:
        WeightsError: a tensor is missing, left over, there twice, or of the wrong shape or kind; names the
            key, the shapes and the file.
    """
    official = _named(tensors, rename or (lambda key: key), file)
    expected = module.state_dict()
    missing = [key for key in expected if key not in official]
    extra = [key for name, key in official.items() if name not in expected]
    if missing:
        shape = list(expected[missing[0]].shape)
        raise WeightsError(
            f"{file} lacks {missing[0]!r} {shape}{_more(missing)}; is the file of this model and complete?"
        )
    if extra:
        shape = list(tensors[extra[0]].shape)
        raise WeightsError(
            f"{file} holds {extra[0]!r} {shape}{_more(extra)}, unknown here; is it of another family?"
        )
    given = {name: tensors[key] for name, key in official.items()}
    for name, tensor in given.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.is_floating_point() != want.is_floating_point():
            raise WeightsError(
                f"{file}: {official[name]!r} is {_kind(tensor)}, the description makes it {_kind(want)}; "
                "do the two belong together?"
            )
    module.load_state_dict(given, assign=True)


def _named(keys: Iterable[str], name_of: Callable[[str], str | None], file: str | Path) -> dict[str, str]:
    """The keys of the file by the module's own names."""
    official: dict[str, str] = {}
    for key in keys:
        name = name_of(key)
        if name in official:
            raise WeightsError(
                f"{file} holds {official[name]!r} and {key!r}, which are one; keep one of them"
            )
        if name is not None:
            official[name] = key
    return official


def write_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], text: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, with `text` in its metadata; it appears whole or not at all."""
    import torch
    from safetensors.torch import save

    separate = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    replace_file(Path(path), save(separate, metadata=dict(text or {})))


def write_voices(path: str | Path, voices: Mapping[str, Mapping[str, torch.Tensor | str]]) -> None:
    """Write `spk2info.safetensors`: tensors under the key VOICE/FIELD, text so in the metadata."""
    import torch

    fields = {f"{name}/{key}": value for name, voice in voices.items() for key, value in voice.items()}
    tensors = {key: value for key, value in fields.items() if isinstance(value, torch.Tensor)}
    write_tensors(path, tensors, {key: value for key, value in fields.items() if isinstance(value, str)})


def read_voices(path: Path) -> dict[str, dict[str, Any]]:
    """The fields of each voice of a `spk2info` file: what `write_voices` wrote, or upstream's `.pt`.

    Raises:
        WeightsError: the file is damaged or holds anything but fields of tensors, text and numbers, or a
            name cannot be printed.
    """
    voices = _group_fields(path) if path.suffix == ".safetensors" else read_pickled(path)
    if len(voices) > MAX_VOICES:
        raise WeightsError(f"{path} holds {len(voices)} voices, more than {MAX_VOICES}; is it damaged?")
    dense = _Dense(path)
    return {name: _voice_fields(dense, name, fields) for name, fields in voices.items()}


def _family(path: Path, description: dict[str, Any]) -> str:
    llm = description.get("llm")
    name = llm.tag.rpartition(".")[2] if isinstance(llm, Node) else repr(llm)[:40]
    if name not in FAMILIES:
        raise ConfigError(f"{path}: 'llm' is {name}; known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """The top-level entries of a `.safetensors` or `.pt` file, one after another."""
    if path.suffix != ".safetensors":
        yield from read_pickled(path).items()
        return
    with _safetensors(path) as file:
        for key in file.keys():  # noqa: SIM118 - the file is no mapping
            yield key, file.get_tensor(key)


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, LookupError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file: {reason_of(error)}; download it again"
        ) from error


class _Dense:
    """Makes the tensors of one file dense float32. Many may share what is stored: their total has a limit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.limit = self.left = min(MAX_TENSOR_BYTES, MAX_GROWTH * path.stat().st_size)

    def float32(self, key: str, value: object) -> torch.Tensor:
        """The tensor, not copied if it is float32; integers stay what they are."""
        tensor = _checked(self.path, key, value)
        is_float = tensor.is_floating_point()
        self.left -= tensor.numel() * FLOAT_BYTES if is_float else tensor.nbytes
        if self.left < 0:
            raise WeightsError(f"{self.path} makes more than {self.limit} bytes of tensors; is it damaged?")
        return tensor.detach().float() if is_float else tensor


def _checked(path: Path, key: str, value: object) -> torch.Tensor:
    import torch

    if not isinstance(value, torch.Tensor):
        raise WeightsError(f"{path}: {key!r} is a {type(value).__name__}, not a tensor; is it a state_dict?")
    kind = str(value.dtype).removeprefix("torch.")
    if kind not in KINDS or value.layout != torch.strided or value.device.type != "cpu":
        raise WeightsError(
            f"{path}: {key!r} is a {kind} tensor of layout {value.layout}; only dense numbers are read"
        )
    if value.nbytes > value.untyped_storage().nbytes():
        raise WeightsError(f"{path}: {key!r} {list(value.shape)} is larger than what is stored for it")
    return value


def _fold_weight_norm(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """weight = g · v / ‖v‖ over all dimensions but the first (Salimans and Kingma 2016)."""
    import torch

    for magnitude, direction in NORM_KEYS:
        for key in [key for key in tensors if key.endswith(magnitude)]:
            stem = key.removesuffix(magnitude)
            g, v = tensors.pop(key), tensors.pop(stem + direction, None)
            fits = v is not None and v.dim() >= 2 and g.numel() == v.shape[0]
            if v is None or not (fits and g.is_floating_point() and v.is_floating_point()):
                raise WeightsError(
                    f"{path}: {key!r} {list(g.shape)} has no real {stem + direction!r} to scale; is it whole?"
                )
            if stem + "weight" in tensors:
                raise WeightsError(f"{path} holds {stem + 'weight'!r} whole and as {key!r}; keep one of them")
            # A direction of zero is what half precision leaves of a very small one: no weight at all.
            norm = v.flatten(1).norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
            tensors[stem + "weight"] = v * (g.flatten() / norm).view(-1, *[1] * (v.dim() - 1))
    return tensors


def _voice_fields(dense: _Dense, voice: str, fields: object) -> dict[str, Any]:
    import torch

    if not voice.isprintable():  # a name stands as it is in messages and on terminals
        raise WeightsError(f"{dense.path}: the voice {voice[:80]!r} has control characters in its name")
    kinds = torch.Tensor, str, int, float
    if not (isinstance(fields, dict) and len(fields) <= MAX_FIELDS) or not all(
        isinstance(key, str) and isinstance(value, kinds) for key, value in fields.items()
    ):
        raise WeightsError(
            f"{dense.path}: the voice {voice!r} is no table of at most {MAX_FIELDS} tensors, texts, numbers"
        )
    return {
        key: dense.float32(f"{voice}/{key}", value) if isinstance(value, torch.Tensor) else value
        for key, value in fields.items()
    }


def _group_fields(path: Path) -> dict[str, dict[str, Any]]:
    """Tensors and metadata of a file under VOICE/FIELD, gathered by voice."""
    voices: dict[str, dict[str, Any]] = {}
    with _safetensors(path) as file:
        fields = {key: file.get_tensor(key) for key in file.keys()} | (file.metadata() or {})  # noqa: SIM118
    for key, value in fields.items():
        name, slash, field = key.rpartition("/")
        if not slash:
            raise WeightsError(f"{path}: the key {key!r} is not of the form VOICE/FIELD")
        voices.setdefault(name, {})[field] = value
    return voices


def _more(keys: list[str]) -> str:
    return f" and {len(keys) - 1} more" if len(keys) > 1 else ""


def _kind(tensor: torch.Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
