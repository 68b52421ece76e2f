"""Tensors of a weights file: read and checked as dense float32, given to a module, written.

A file is not trusted. Its tensors must be dense numbers in memory, and together they may not grow beyond a
small multiple of what the file stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosyrt.checkpoint.pickles import MAX_KEY_CHARACTERS, MAX_TENSOR_BYTES, Unreadable, read_pickled
from cosyrt.errors import WeightsError, reason_of
from cosyrt.files import replace_file

if TYPE_CHECKING:
    import torch

NUMBER_TYPES = set(
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
# Of a network that was trained on several devices, and of a vocoder that was trained against a critic.
PREFIXES = ("module.", "generator.")
DEEPSPEED = "module"  # under which DeepSpeed keeps the tensors, beside what only training needs


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file by their official keys, as float32, weight norm folded into `weight`.

    The file is mapped from disk: tensors that are float32 already are not copied.

    Raises:
        WeightsError: the file is damaged, too large, or holds anything but dense tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    reader = DenseReader(path)
    for key, value in _entries(path):
        name = key
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name in TRAINING_KEYS:
            continue
        if name in tensors:
            raise WeightsError(
                f"{path} holds {name!r} twice, with and without {' or '.join(map(repr, PREFIXES))}; keep one"
            )
        tensors[name] = reader.float32(key, value)
    return _fold_weight_norm(path, tensors)


def load_into(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    file: str | Path,
    rename: Callable[[str], str | None] | None = None,
    official: Callable[[str], str] | None = None,
) -> None:
    """Give a module its weights: each of its tensors once, no other, shapes equal. Assigned, not copied.

    `rename` maps a key of the file to the module's own name, or to None for a tensor it does without;
    `official` maps a name of the module to the key of the file, for messages.

    Raises:
        WeightsError: a tensor is missing, left over, there twice, or of the wrong shape or type; names the
            key, the shapes and the file.
    """
    keys = _official_keys(tensors, rename or (lambda key: key), file)
    expected = module.state_dict()
    _check_complete(keys, expected, tensors, file, official or (lambda name: name))
    given = {name: tensors[key] for name, key in keys.items()}
    for name, tensor in given.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.is_floating_point() != want.is_floating_point():
            raise WeightsError(
                f"{file}: {keys[name]!r} is {_shape_and_type(tensor)}, "
                f"the description makes it {_shape_and_type(want)}; do the two belong together?"
            )
    module.load_state_dict(given, assign=True)


def write_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], text: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, with `text` in its metadata; it appears whole or not at all."""
    import torch
    from safetensors.torch import save

    separate = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    replace_file(Path(path), save(separate, metadata=dict(text or {})))


class DenseReader:
    """Makes the tensors of one file dense float32, within a limit on their total size.

    The limit is needed because many tensors of a file may share what it stores.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.limit = self.left = min(MAX_TENSOR_BYTES, MAX_GROWTH * path.stat().st_size)

    def float32(self, key: str, value: object) -> torch.Tensor:
        """The tensor as float32, not copied if it is that already; integers stay what they are.

        Raises:
            WeightsError: this is no dense tensor of numbers, or the limit is passed.
        """
        tensor = _checked(self.path, key, value)
        is_float = tensor.is_floating_point()
        self.left -= tensor.numel() * FLOAT_BYTES if is_float else tensor.nbytes
        if self.left < 0:
            raise WeightsError(f"{self.path} makes more than {self.limit} bytes of tensors; is it damaged?")
        return tensor.detach().float() if is_float else tensor


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file with torch tensors.

    Raises:
        WeightsError: the file is damaged, when it is opened or while it is read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, LookupError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file: {reason_of(error)}; download it again"
        ) from error


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The top-level entries of a `.safetensors` or `.pt` file, one after another."""
    if path.suffix != ".safetensors":
        yield from _pickled(path).items()
        return
    with open_safetensors(path) as file:
        for key in file.keys():  # noqa: SIM118 - the file is no mapping
            if len(key) > MAX_KEY_CHARACTERS:
                raise WeightsError(f"{path} has a key of more than {MAX_KEY_CHARACTERS} characters")
            yield key, file.get_tensor(key)


def _pickled(path: Path) -> dict[str, Any]:
    """The entries of a `.pt` file, or of the table in it that DeepSpeed puts them into."""
    entries = read_pickled(path, lenient=True)
    if isinstance(entries.get(DEEPSPEED), dict):
        entries = entries[DEEPSPEED]
    for key, value in entries.items():
        if isinstance(value, Unreadable):
            raise WeightsError(
                f"{path} {value.why}, which no table of plain tensors does (at {key!r}); "
                "is it a state_dict, and unchanged?"
            )
    return entries


def _checked(path: Path, key: str, value: object) -> torch.Tensor:
    import torch

    if not isinstance(value, torch.Tensor):
        raise WeightsError(f"{path}: {key!r} is a {type(value).__name__}, not a tensor; is it a state_dict?")
    number_type = str(value.dtype).removeprefix("torch.")
    if number_type not in NUMBER_TYPES or value.layout != torch.strided or value.device.type != "cpu":
        raise WeightsError(
            f"{path}: {key!r} is a {number_type} tensor of layout {value.layout}; only dense numbers are read"
        )
    if value.nbytes > value.untyped_storage().nbytes():
        raise WeightsError(f"{path}: {key!r} {list(value.shape)} is larger than what is stored for it")
    return value


def _fold_weight_norm(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Fold weight norm: weight = g · v / ‖v‖, the norm over all but the first dimension.

    Source: Salimans and Kingma 2016.
    """
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
            tensors[stem + "weight"] = _scaled(g, v)
    return tensors


def _scaled(
    g: torch.Tensor,  # magnitudes, one for each row of v
    v: torch.Tensor,  # directions
) -> torch.Tensor:  # the shape of v
    """Give each row of `v` the length that `g` says."""
    import torch

    # A direction of zero is what half precision leaves of a very small one: no weight at all.
    norm = v.flatten(1).norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    scale: torch.Tensor = g.flatten() / norm
    return v * scale.view(-1, *[1] * (v.dim() - 1))


def _official_keys(
    keys: Iterable[str], name_of: Callable[[str], str | None], file: str | Path
) -> dict[str, str]:
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


def _check_complete(
    official: Mapping[str, str],
    expected: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    file: str | Path,
    key_of: Callable[[str], str],
) -> None:
    """Refuse a file that lacks a tensor of the module or holds one that the module does not have."""
    missing = [key for key in expected if key not in official]
    extra = [key for name, key in official.items() if name not in expected]
    if missing:
        shape = list(expected[missing[0]].shape)
        raise WeightsError(
            f"{file} lacks {key_of(missing[0])!r} {shape}{_more(missing)}; "
            "is the file of this model and complete?"
        )
    if extra:
        shape = list(tensors[extra[0]].shape)
        raise WeightsError(
            f"{file} holds {extra[0]!r} {shape}{_more(extra)}, unknown here; is it of another family?"
        )


def _more(keys: list[str]) -> str:
    return f" and {len(keys) - 1} more" if len(keys) > 1 else ""


def _shape_and_type(tensor: torch.Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
