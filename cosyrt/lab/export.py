"""Write parts of a model folder as TorchScript archives, each checked before it is given its name.

script → freeze → optimize_for_inference, as upstream's `bin/export_jit.py`. What is written works in
upstream's code too: same methods, same signatures.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import cosyrt
from cosyrt.accel.backend.torchscript import PRECISIONS, availability, optimised
from cosyrt.accel.torchscript.archive import DTYPES, Manifest, methods, path_beside, torch_release
from cosyrt.accel.torchscript.stages import Component, components_of
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.engine.stages import Networks
from cosyrt.errors import MissingDependency, UsageError, one_line
from cosyrt.files import file_sha256
from cosyrt.lab.parity import check_archive, write_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORT_STEPS = ("script", "freeze", "optimise", "save", "check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An archive that was written, with its manifest."""

    path: Path
    manifest: Manifest

    @property
    def bytes(self) -> int:
        """Size of the archive in bytes."""
        return self.path.stat().st_size


# (archive's name, step that begins)
OnExportStep = Callable[[str, str], None]


def export(
    folder: ModelFolder,
    *,
    out: Path | None = None,  # None: the model folder, where upstream looks for them
    precisions: Sequence[str] = PRECISIONS,
    on_step: OnExportStep = lambda name, step: None,
) -> list[Exported]:
    """Export every component of the folder's family in every precision; none for CosyVoice 3.

    Archives are checked in processes of their own: a script calls this under `if __name__ == "__main__":`.

    Raises:
        UsageError: `out` cannot be written, or a precision is unknown.
        ModelError: the folder cannot be used. ArchiveError: an export is not what it should be.
        MissingDependency: this Python or torch cannot make TorchScript.
    """
    unknown = [precision for precision in precisions if precision not in DTYPES]
    if unknown or not precisions:
        raise UsageError(f"no precision {', '.join(unknown) or 'at all'}; give {' or '.join(PRECISIONS)}")
    components = components_of(folder.family)
    if not components:
        return []
    there = availability()
    if not there.ok:
        raise MissingDependency(there.reason)
    out = out or folder.path
    with _workplace(out) as work:
        _, networks = build(folder)
        for network in (networks.llm, networks.flow, networks.vocoder):
            network.eval()
        return [
            made
            for component in components
            for made in _component(folder, networks, component, precisions, out, work, on_step)
        ]


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """Make a temporary folder beside the result, so that a finished file only needs a new name."""
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".cosyrt-export-", dir=out)
    with folder as work:
        yield Path(work)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn errors of writing, for which torch has a RuntimeError, into a UsageError about the place."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"torch says {one_line(error, 100)}"
        raise UsageError(
            f"cannot write in {out}: {reason}; make room, or give another folder with --out"
        ) from error


def _component(
    folder: ModelFolder,
    networks: Networks,
    component: Component,
    precisions: Sequence[str],
    out: Path,
    work: Path,
    on_step: OnExportStep,
) -> Iterator[Exported]:
    cases = work / "cases.pt"
    with torch.inference_mode():
        made = list(component.cases(networks))
    with _writing(out):
        count = write_cases(cases, made)
    checkpoint = component.checkpoint(folder)
    checkpoint_sha256 = file_sha256(checkpoint)
    for precision in precisions:
        path = work / f"{component.name}.{precision}.zip"
        module = copy.deepcopy(component.scripted(networks)).to(DTYPES[precision])
        script = optimised(module, component.keeps, partial(on_step, path.name))
        on_step(path.name, "save")
        with _writing(out):
            path.write_bytes(script.save_to_buffer())  # given a name, torch aborts where the disk is full
        on_step(path.name, "check")
        manifest = Manifest(
            component=component.name,
            precision=precision,
            dtype=str(DTYPES[precision]).removeprefix("torch."),
            methods=sorted(methods(script)),
            archive_sha256=file_sha256(path),
            checkpoint=checkpoint.name,
            checkpoint_sha256=checkpoint_sha256,
            torch=torch_release(),
            cosyrt=cosyrt.__version__,
            error=check_archive(path, checkpoint, cases),
            cases=count,
        )
        with _writing(out):
            final = _named(path, manifest, out)
        yield Exported(path=final, manifest=manifest)


def _named(path: Path, manifest: Manifest, out: Path) -> Path:
    """Give an archive its name, and then its manifest: until both are there, loading it is an error."""
    final = out / path.name
    manifest.write_beside(path)
    os.replace(path, final)
    os.replace(path_beside(path), path_beside(final))
    return final
