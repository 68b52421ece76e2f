"""OpenVINO's graphs of a model, kept in the user's cache folder: making them takes most of a load.

A graph is two files, structure (.xml) and constants (.bin), which are mapped from disk, and a third with the
checksums of both: OpenVINO takes any constants of the right size, those that a crash left half written too.
Their name says what they hold for: weights, part, width, versions of torch and OpenVINO, the code that
made them. They hold on any machine: what depends on the processor is compiled from them at each load.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosyrt.accel.cache_folder import graphs_folder
from cosyrt.accel.fingerprint import fingerprint, made_of
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import one_line
from cosyrt.startup import runtime

log = logging.getLogger(__name__)

SOURCES = (
    "models/*.py",
    "accel/backend/graphs.py",
    "accel/backend/compiled.py",
    "accel/backend/openvino.py",
)  # of the package
GRAPH = (".bin", ".xml")
SUM = ".sum"  # appears last: without it nothing is read
BLOCK_BYTES = 1 << 20
ABANDONED_S = 3600.0  # no graph takes so long to write: who began has been killed


def kept(folder: ModelFolder, name: str, make: Callable[[], Any]) -> Any:
    """The graph of that name of a model: read, or made and written first.

    A file that cannot be read is made again; where nothing can be written, the graph that was made is used.
    """
    stem = graphs_folder() / f"{fingerprint(folder)}-{name}-{_made_of()}"
    found = _read(stem)
    if found is not None:
        return found
    made = make()
    try:
        _write(made, stem)
    except (OSError, RuntimeError) as error:
        log.warning(
            "the graph %s cannot be kept and is made again at each load: %s", stem, one_line(error, 200)
        )
        return made
    return _read(stem) or made


def _read(stem: Path) -> Any:
    """The graph of these files; None where there is none, or none that is whole."""
    openvino = runtime("openvino")

    if not all(_named(stem, suffix).is_file() for suffix in (*GRAPH, SUM)):
        return None
    try:
        if _named(stem, SUM).read_text(encoding="ascii") != _sums(stem):
            raise RuntimeError("its files are not what was written")
        return openvino.Core().read_model(_named(stem, ".xml"))
    except (OSError, RuntimeError) as error:
        log.warning("the graph %s cannot be read and is made again: %s", stem, one_line(error, 200))
        return None


def _sums(stem: Path) -> str:
    """The checksums of both files: half a second a GB, a small part of what it takes to compile them."""
    return " ".join(f"{_sum(_named(stem, suffix)):08x}" for suffix in GRAPH)


def _sum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            total = zlib.crc32(block, total)
    return total


def _named(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _write(made: Any, stem: Path) -> None:
    """Write it beside its place and rename; then forget what is of no use any more."""
    openvino = runtime("openvino")

    stem.parent.mkdir(parents=True, exist_ok=True)
    temporary = stem.with_name(f".{stem.name}.{secrets.token_hex(6)}")
    try:
        openvino.save_model(made, _named(temporary, ".xml"), compress_to_fp16=False)
        _named(temporary, SUM).write_text(_sums(temporary), encoding="ascii")
        for suffix in (*GRAPH, SUM):
            os.replace(_named(temporary, suffix), _named(stem, suffix))
    finally:
        for suffix in (*GRAPH, SUM):
            _named(temporary, suffix).unlink(missing_ok=True)
    _forget(stem)


def _forget(stem: Path) -> None:
    """Remove what older code or another version made of this model, and what was never written to its end."""
    model, made_of = stem.name.partition("-")[0], stem.name.rpartition("-")[2]
    for path in stem.parent.glob(f"{model}-*"):
        if path.stem.rpartition("-")[2] != made_of:
            path.unlink(missing_ok=True)
    for path in stem.parent.glob(".*.*"):
        with suppress(FileNotFoundError):  # its writer has just come to its end
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()


@cache
def _made_of() -> str:
    """The versions and the code that a graph depends on."""
    return made_of(f"{version('torch')} {version('openvino')}", SOURCES)
