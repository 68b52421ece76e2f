"""TensorRT's engines, kept in the user's cache folder beside the plans: building one takes minutes.

The name of a file says what it holds for: weights, card, precision, the versions of torch and TensorRT, and
the code that the engine was made of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from cosyrt.accel.cache_folder import engines_folder
from cosyrt.accel.fingerprint import fingerprint, made_of
from cosyrt.accel.plan import device_name, kind_of
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import UsageError, one_line
from cosyrt.files import replace_file

log = logging.getLogger(__name__)

SOURCES = (
    "models/*.py",
    *(f"accel/backend/{name}.py" for name in ("graphs", "compiled", "half_weights", "onnx", "tensorrt")),
)
Engine = TypeVar("Engine")


def engine_path(folder: ModelFolder, device: torch.device, dtype: torch.dtype, version: str) -> Path:
    """Where the engine of a model is, or would be, for that `version` of TensorRT."""
    kind = f"{fingerprint(folder)}-{kind_of(device)}-{str(dtype).removeprefix('torch.')}"
    made = made_of(f"{torch.__version__} {version} {device_name(device)}", SOURCES)
    return engines_folder() / f"{kind}-{made}.engine"


def kept(path: Path, read: Callable[[bytes], Engine], make: Callable[[], bytes]) -> Engine:
    """The engine at that path, or one that is made, serialised, and written there.

    A file that cannot be read is made again; where nothing can be written, the engine that was made is used.

    Raises:
        UsageError: it cannot be made, or not even the new one can be read.
    """
    if path.is_file():
        try:
            return read(path.read_bytes())
        except (OSError, UsageError) as error:
            log.warning("the engine %s cannot be read and is made again: %s", path, one_line(error, 200))
    made = make()
    try:
        _write(path, made)
    except OSError as error:
        log.warning(
            "the engine %s cannot be kept and is made again at each load: %s", path, one_line(error, 200)
        )
    return read(made)


def _write(path: Path, made: bytes) -> None:
    """Write it whole; then forget what older code or another version had made of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, made)
    what = path.stem.rpartition("-")[0]
    for other in path.parent.glob(f"{what}-*{path.suffix}"):
        if other != path and other.stem.rpartition("-")[0] == what:
            other.unlink(missing_ok=True)
