"""TorchScript archives, checked before they may run: ours by a manifest, upstream's by their content.

The executor of TorchScript compiles for the shapes it has seen, and again for shapes it has not; speech comes
in every length. The switch that stops this belongs to the process or the thread, not to the file, so it is
set around each call, in the thread that calls, and put back (docs/accel.md).
"""

from __future__ import annotations

import copy
import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cosyrt.errors import ArchiveError, one_line
from cosyrt.files import file_sha256, replace_file

NAME = re.compile(r"(?P<component>[a-z_.]+)\.(?P<precision>fp32|fp16)\.zip")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
MANIFEST_BYTES = 1_000_000
Network = TypeVar("Network", bound=nn.Module)

# Largest difference from the plain float32 model, in units of its largest output. float32: sums in another
# order (1e-6 is seen). float16 has 11 bits, and ten blocks of rounding: 1e-3 to 5e-3 is seen.
TOLERANCE = {"fp32": 1e-4, "fp16": 3e-2}

# Edges of chunks, their neighbours, and lengths of no kind: an archive must not know any of them.
LENGTHS = (1, 2, 7, 24, 25, 26, 50, 63, 101, 137)


class Case(NamedTuple):
    """One call with the answer of the plain model."""

    method: str
    args: tuple[Any, ...]
    expected: list[Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Origin of an archive, and what was measured when it was made."""

    component: str  # such as flow.encoder
    precision: str  # fp32 or fp16
    dtype: str  # of its weights
    methods: list[str]
    archive_sha256: str
    checkpoint: str  # the file of weights it was made from
    checkpoint_sha256: str
    torch: str  # the release that made it
    cosyrt: str
    error: float  # largest distance from the plain model, in units of its largest output
    cases: int  # calls compared

    @classmethod
    def beside(cls, archive: Path) -> Manifest | None:
        """Read the manifest of an archive; None where there is none.

        Raises:
            ArchiveError: it cannot be read.
        """
        path = path_beside(archive)
        try:
            if path.stat().st_size > MANIFEST_BYTES:
                raise ValueError(f"larger than {MANIFEST_BYTES} bytes")
            return cls.from_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            reason = one_line(error, 120)
            raise ArchiveError(f"the manifest {path} cannot be read: {reason}; export again") from error

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is not an object of exactly these fields.
        """
        read = json.loads(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(read, dict) or set(read) != names:
            raise ValueError("it does not hold the fields of a manifest")
        kinds: dict[str, type] = {"error": float, "cases": int, "methods": list}
        for name, value in read.items():
            if not isinstance(value, kinds.get(name, str)):
                raise ValueError(f"{name!r} is a {type(value).__name__}")
        return cls(**read)

    def to_json(self) -> str:
        """Write JSON with one field a line."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def write_beside(self, archive: Path) -> None:
        """Write the manifest; it appears whole or not at all."""
        replace_file(path_beside(archive), self.to_json().encode())


def path_beside(archive: Path) -> Path:
    """Path of an archive's manifest: flow.encoder.fp32.zip → flow.encoder.fp32.json."""
    return archive.with_suffix(".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Archive that has passed all checks; `call` runs it."""

    path: Path
    component: str
    precision: str
    module: torch.jit.ScriptModule
    manifest: Manifest | None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        checkpoint: Path,  # the file of weights it must be made from
        needs: tuple[str, ...] = ("forward",),
        device: torch.device | None = None,
    ) -> Archive:
        """Open an archive of one of the official names.

        Raises:
            ArchiveError: it is missing or damaged; it is of another torch, checkpoint, precision or
                component than it says; or it lacks a method of `needs`.
        """
        component, precision = named(path)
        _check_whole(path)
        manifest = Manifest.beside(path)
        if manifest is not None:
            _check_manifest(path, manifest, checkpoint)
        module = read(path, device)
        _check_precision(path, module)
        for method in manifest.methods if manifest else needs:
            if method not in methods(module):
                raise ArchiveError(
                    f"{path} has no method {method!r}, so it cannot be streamed; {remedy(path)}"
                    if method == "forward_chunk"
                    else f"{path} has no method {method!r}; {remedy(path)}"
                )
        return cls(path=path, component=component, precision=precision, module=module, manifest=manifest)

    @property
    def dtype(self) -> torch.dtype:
        """Compute dtype."""
        return DTYPES[self.precision]

    def has(self, method: str) -> bool:
        """Whether the archive has that method."""
        return method in methods(self.module)

    def arguments(self, method: str) -> list[str]:
        """Names of the arguments of a method."""
        schema = self.module._c._get_method(method).schema
        return [argument.name for argument in schema.arguments[1:]]

    def call(self, method: str, *args: Any) -> Any:
        """Run a method in its own precision, without specialising on the shapes of this call."""
        plain = torch.autocast(args[0].device.type, enabled=False)
        with plain, torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return getattr(self.module, method)(*args)


def named(path: Path) -> tuple[str, str]:
    """Read component and precision from an archive's name.

    Raises:
        ArchiveError: it is none of upstream's names.
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        raise ArchiveError(f"{path.name!r} is no name of an archive; it must be like flow.encoder.fp32.zip")
    return match["component"], match["precision"]


def methods(module: torch.jit.ScriptModule) -> set[str]:
    """Names of the methods of a module."""
    return set(module._c._method_names())


def weight_dtype(module: torch.jit.ScriptModule) -> torch.dtype | None:
    """Type of most tensors; tables of positions may have another."""
    found = Counter(tensor.dtype for tensor in weights(module) if tensor.is_floating_point())
    return found.most_common(1)[0][0] if found else None


def weights(module: torch.jit.ScriptModule) -> Iterator[torch.Tensor]:
    """Weights of a module: parameters, and the constants that freezing made of them."""
    yield from module.parameters()
    for name in methods(module):
        for node in constants(getattr(module, name).graph):
            yield node.t("value")


def constants(block: Any) -> Iterator[Any]:
    """Nodes of a graph that hold a tensor, inner blocks included."""
    for node in block.nodes():
        if node.kind() == "prim::Constant" and node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node
        for inner in node.blocks():
            yield from constants(inner)


def remedy(path: Path) -> str:
    """Advice for an archive that cannot be used."""
    _, precision = named(path)
    return f"make it again with: cosyrt export --format torchscript --precision {precision} FOLDER"


def _check_whole(path: Path) -> None:
    if not path.is_file():
        raise ArchiveError(f"there is no {path}; {remedy(path)}")
    if not zipfile.is_zipfile(path):
        raise ArchiveError(f"{path} is cut short: its last part is missing; {remedy(path)}")


def _check_manifest(path: Path, manifest: Manifest, checkpoint: Path) -> None:
    component, precision = named(path)
    release = torch_release()
    if (manifest.component, manifest.precision) != (component, precision):
        raise ArchiveError(
            f"{path} was exported as {manifest.component}.{manifest.precision}.zip; give it that name again"
        )
    if manifest.torch != release:
        raise ArchiveError(f"{path} was made by torch {manifest.torch}, this is {release}; {remedy(path)}")
    if manifest.checkpoint_sha256 != file_sha256(checkpoint):
        raise ArchiveError(f"{path} was made from another checkpoint than {checkpoint}; {remedy(path)}")
    if manifest.archive_sha256 != file_sha256(path):
        raise ArchiveError(
            f"{path} is not the file that {path_beside(path).name} was written for; {remedy(path)}, "
            f"or delete {path_beside(path).name} if the archive is upstream's"
        )


def read(path: Path, device: torch.device | None) -> torch.jit.ScriptModule:
    """Load an archive by torch, unchecked.

    Raises:
        ArchiveError: it is no TorchScript.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such; see docs/accel.md
            module = torch.jit.load(path, map_location=device or torch.device("cpu"))  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = one_line(error, 160)
        raise ArchiveError(f"{path} cannot be read as TorchScript: {reason}; {remedy(path)}") from error
    assert isinstance(module, torch.jit.ScriptModule)
    return module


def _check_precision(path: Path, module: torch.jit.ScriptModule) -> None:
    _, precision = named(path)
    holds = weight_dtype(module)
    if holds != DTYPES[precision]:
        kind = "no weights" if holds is None else f"{str(holds).removeprefix('torch.')} weights"
        raise ArchiveError(f"{path} is named {precision} and holds {kind}; {remedy(path)}")


def torch_release() -> str:
    """Release of the running torch, without the name of its build."""
    return torch.__version__.partition("+")[0]


def with_module(network: Network, name: str, module: nn.Module) -> Network:
    """Copy a network with one module replaced; weights are shared."""
    assert name in network._modules
    other = copy.copy(network)
    other._modules = network._modules | {name: module}
    return other
