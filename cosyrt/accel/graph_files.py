"""OpenVINO's graphs of a model, kept in the user's cache folder: making them takes most of a load.

A graph is two files, structure (.xml) and constants (.bin), which are mapped from disk. Their name says what
they hold for: weights, part, width, the versions of torch and OpenVINO, and the code that they were made of.
They hold on any machine: what depends on the processor is compiled from them at each load.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosyrt.accel.cache_folder import graphs_folder
from cosyrt.accel.fingerprint import fingerprint, made_of
from cosyrt.checkpoint import ModelFolder
from cosyrt.errors import one_line
from cosyrt.runtimes import runtime

log = logging.getLogger(__name__)

SOURCES = ("models/*.py", "accel/graphs.py", "accel/compiled.py", "accel/openvino.py")  # of the package
SUFFIXES = (".bin", ".xml")  # in the order in which they appear: structure without constants is never read


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

    if not all(stem.with_name(stem.name + suffix).is_file() for suffix in SUFFIXES):
        return None
    try:
        return openvino.Core().read_model(f"{stem}.xml")
    except RuntimeError as error:
        log.warning("the graph %s cannot be read and is made again: %s", stem, one_line(error, 200))
        return None


def _write(made: Any, stem: Path) -> None:
    """Write it beside its place and rename; then forget what older code or another version had made of it."""
    openvino = runtime("openvino")

    stem.parent.mkdir(parents=True, exist_ok=True)
    temporary = stem.with_name(f".{stem.name}.{secrets.token_hex(6)}")
    try:
        openvino.save_model(made, f"{temporary}.xml", compress_to_fp16=False)
        for suffix in SUFFIXES:
            os.replace(f"{temporary}{suffix}", f"{stem}{suffix}")
    finally:
        for suffix in SUFFIXES:
            Path(f"{temporary}{suffix}").unlink(missing_ok=True)
    what = stem.name.rpartition("-")[0]
    for path in stem.parent.glob(f"{what}-*"):
        if path.stem != stem.name and path.stem.rpartition("-")[0] == what:
            path.unlink(missing_ok=True)


@cache
def _made_of() -> str:
    """The versions and the code that a graph depends on."""
    return made_of(f"{version('torch')} {version('openvino')}", SOURCES)
