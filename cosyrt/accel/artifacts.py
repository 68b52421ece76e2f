"""Artifacts that backends make of a model, kept in the user's cache folder: making them takes most of a load.

    artifacts/MODEL/CODE/NAME/     the files of one artifact, such as graph.xml and graph.bin, and
                        checksums  of them, without which nothing is read

MODEL is the fingerprint of the model, CODE a digest of all of `cosyrt/models` and `cosyrt/accel` and of the
versions of the packages that run models. An artifact is written beside its place and renamed: a writer that
is killed leaves a folder that nobody reads and that a later writer removes. One rule forgets the old: whoever
writes an artifact removes what other code or other versions have made of the same model.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cosyrt.accel.fingerprint import as_file_name, code_digest, fingerprint, versions
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import CosyrtError, one_line
from cosyrt.files import cache_folder

log = logging.getLogger(__name__)

CHECKSUMS = "checksums"
BLOCK_BYTES = 1 << 20
UNFINISHED = ".unfinished-"  # begins the name of a folder that is being written
ABANDONED_S = 3600.0  # no artifact takes so long to write: whoever began has been killed

Made = TypeVar("Made")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFormat(Generic[Made, Loaded]):
    """How one kind of artifact is written into files and read from them."""

    write: Callable[[Made, Path], object]  # into an empty folder
    read: Callable[[Path], Loaded]  # from a folder that `write` has filled
    use: Callable[[Made], Loaded]  # without files, where it cannot be kept


def kept(
    folder: ModelFolder, name: str, make: Callable[[], Made], format: ArtifactFormat[Made, Loaded]
) -> Loaded:
    """The artifact of that name of a model: read, or made and written first.

    What cannot be read is made again; where nothing can be written, what was made is used.

    Raises:
        CosyrtError: it cannot be made or used.
    """
    path = artifact_path(folder, name)
    found = _read(path, format)
    if found is not None:
        return found
    made = make()
    try:
        _write(path, made, format)
    except (OSError, RuntimeError) as error:
        log.warning("%s cannot be kept and is made again at each load: %s", path, one_line(error, 200))
    else:
        found = _read(path, format)
    return format.use(made) if found is None else found


def artifact_path(folder: ModelFolder, name: str) -> Path:
    """The folder of an artifact of a model, whether it is there or not."""
    return artifacts_folder() / fingerprint(folder) / _code() / as_file_name(name)


def artifacts_folder() -> Path:
    """Where the artifacts of all models are."""
    return cache_folder() / "artifacts"


def _code() -> str:
    """A digest of everything that an artifact depends on besides its model and its name."""
    text = f"{code_digest('models', 'accel')} {versions()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read(path: Path, format: ArtifactFormat[Made, Loaded]) -> Loaded | None:
    """The artifact in a folder; None where there is none, or none that is whole."""
    if not path.is_dir():
        return None
    try:
        if not _is_whole(path):
            raise RuntimeError("its files are not what was written")
        return format.read(path)
    except (OSError, RuntimeError, CosyrtError) as error:
        log.warning("%s cannot be read and is made again: %s", path, one_line(error, 200))
        shutil.rmtree(path, ignore_errors=True)
        return None


def _write(path: Path, made: Made, format: ArtifactFormat[Made, Loaded]) -> None:
    """Write an artifact beside its place and rename it; then forget what is of no use any more."""
    unfinished = artifacts_folder() / f"{UNFINISHED}{secrets.token_hex(6)}"
    try:
        unfinished.mkdir(parents=True)
        format.write(made, unfinished)
        (unfinished / CHECKSUMS).write_text(_checksums(unfinished), encoding="ascii")
        _replace(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _forget(path)


def _replace(unfinished: Path, path: Path) -> None:
    """Give a folder its name, unless another process has written the same artifact meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        unfinished.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def _forget(path: Path) -> None:
    """Remove what other code or versions made of this model, and what was never written to its end."""
    for other in path.parents[1].iterdir():
        if other != path.parent:
            shutil.rmtree(other, ignore_errors=True)
    for unfinished in artifacts_folder().glob(f"{UNFINISHED}*"):
        with suppress(OSError):  # its writer has just come to its end
            if time.time() - unfinished.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(unfinished)


def _is_whole(path: Path) -> bool:
    """Whether the files of an artifact are those that were written."""
    with suppress(OSError):
        return (path / CHECKSUMS).read_text(encoding="ascii", errors="replace") == _checksums(path)
    return False


def _checksums(path: Path) -> str:
    """A line for each file of an artifact. Takes half a second a GB, a small part of what compiling does."""
    files = sorted(file for file in path.iterdir() if file.name != CHECKSUMS)
    return "".join(f"{_crc32(file):08x} {file.name}\n" for file in files)


def _crc32(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            total = zlib.crc32(block, total)
    return total
