"""A TorchScript archive, checked before it may run: ours by its manifest, upstream's by what it holds.

The executor of TorchScript compiles for the shapes it has seen, and again for shapes it has not; speech comes
in every length. The switch that stops this belongs to the process or the thread, not to the file, so it is
set around each call, in the thread that calls, and put back (docs/accel.md).
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cosyrt.accel.torchscript.manifest import Manifest, path_beside, sha256
from cosyrt.errors import ArchiveError, one_line

NAME = re.compile(r"(?P<component>[a-z_.]+)\.(?P<precision>fp32|fp16)\.zip")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive that fits; `call` runs it."""

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
        """What it computes in."""
        return DTYPES[self.precision]

    def has(self, method: str) -> bool:
        """Whether it has that method."""
        return method in methods(self.module)

    def arguments(self, method: str) -> list[str]:
        """What a method takes, by name."""
        schema = self.module._c._get_method(method).schema
        return [argument.name for argument in schema.arguments[1:]]

    def call(self, method: str, *args: Any) -> Any:
        """Run a method in its own precision, without specialising on the shapes of this call."""
        plain = torch.autocast(args[0].device.type, enabled=False)
        with plain, torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return getattr(self.module, method)(*args)


def named(path: Path) -> tuple[str, str]:
    """Component and precision by the archive's name.

    Raises:
        ArchiveError: it is none of upstream's names.
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        raise ArchiveError(f"{path.name!r} is no name of an archive; it must be like flow.encoder.fp32.zip")
    return match["component"], match["precision"]


def methods(module: torch.jit.ScriptModule) -> set[str]:
    """The names of what can be called."""
    return set(module._c._method_names())


def weight_dtype(module: torch.jit.ScriptModule) -> torch.dtype | None:
    """The type of most tensors of more than one dimension; tables of positions may have another."""
    found = Counter(tensor.dtype for tensor in weights(module) if tensor.is_floating_point())
    return found.most_common(1)[0][0] if found else None


def weights(module: torch.jit.ScriptModule) -> Iterator[torch.Tensor]:
    """Parameters, and the constants that freezing made of them."""
    yield from module.parameters()
    for name in methods(module):
        for node in constants(getattr(module, name).graph):
            yield node.t("value")


def constants(block: Any) -> Iterator[Any]:
    """The nodes of a graph that hold a tensor, inner blocks included."""
    for node in block.nodes():
        if node.kind() == "prim::Constant" and node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node
        for inner in node.blocks():
            yield from constants(inner)


def remedy(path: Path) -> str:
    """What to do about an archive that cannot be used."""
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
    if manifest.checkpoint_sha256 != sha256(checkpoint):
        raise ArchiveError(f"{path} was made from another checkpoint than {checkpoint}; {remedy(path)}")
    if manifest.archive_sha256 != sha256(path):
        raise ArchiveError(
            f"{path} is not the file that {path_beside(path).name} was written for; {remedy(path)}, "
            f"or delete {path_beside(path).name} if the archive is upstream's"
        )


def read(path: Path, device: torch.device | None) -> torch.jit.ScriptModule:
    """The archive as torch loads it, unchecked.

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
    """The running torch, without the part that names its build."""
    return torch.__version__.partition("+")[0]
