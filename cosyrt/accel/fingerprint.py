"""What a plan or an artifact holds for: the model to the last byte, the code, the versions, the device.

Samples of the weights would not do: a fine-tuned model differs where nobody looked, and a kept graph would
speak with the old weights. Reading a model of 2 GB takes seconds, so a file's digest is kept in the user's
cache folder for as long as its size, its time and its inode stay.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import cosyrt
from cosyrt.checkpoint.folder import LANGUAGE_MODEL, ModelFolder, WeightsFile
from cosyrt.files import cache_folder, file_sha256, replace_file

log = logging.getLogger(__name__)

WEIGHTS: tuple[WeightsFile, ...] = ("llm", "flow", "hift")
VERSIONED_PACKAGES = ("torch", "openvino", "onnx", "onnxruntime", "tensorrt", "nncf", "numpy")

Identity = tuple[str, int, int, int]  # of a file: path, bytes, time of change in ns, inode


def fingerprint(folder: ModelFolder) -> str:
    """16 hexadecimal digits of a model: its description, its language model's configuration, its weights.

    Raises:
        ModelNotFound: a file of weights is not there. OSError: it cannot be read.
    """
    digest = hashlib.sha256(repr(folder.description).encode())
    for path in _files(folder):
        digest.update(f"{path.name} {file_digest(path)}".encode())
    return digest.hexdigest()[:16]


@cache
def code_digest(*packages: str) -> str:
    """12 hexadecimal digits of every source file below these packages of the product, such as `models`."""
    digest = hashlib.sha256(cosyrt.__version__.encode())
    root = Path(cosyrt.__file__).parent
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def versions() -> dict[str, str]:
    """The releases of the packages that run models, by name."""
    return {package: _version(package) for package in VERSIONED_PACKAGES}


def device_name(device: torch.device) -> str:
    """The processor or the GPU, and what torch uses of it."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} {properties.total_memory >> 20} MB CUDA {torch.version.cuda}"
    if device.type == "cpu":
        from cosyrt.machine.probe import cpu_name  # a model without a plan needs none of it

        return f"{cpu_name()} {torch.backends.cpu.get_cpu_capability()}"
    return f"{device.type} on {platform.machine()}"


def as_file_name(text: str) -> str:
    """Replace what no file name should have by dashes."""
    return "".join(c if c.isalnum() or c == "." else "-" for c in text)


def file_digest(path: Path) -> str:
    """SHA-256 of all of a file, as hexadecimal digits; remembered until the file changes.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _digest((os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ino))


@lru_cache(maxsize=64)
def _digest(identity: Identity) -> str:
    """The digest of a file: known to this process, noted by an earlier one, or computed now."""
    name = f"{hashlib.sha256(identity[0].encode()).hexdigest()[:24]}.json"
    if known := _noted(name, identity):
        return known
    digest = file_sha256(Path(identity[0]))
    try:
        note = _notes() / name
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, json.dumps({"of": identity, "sha256": digest}).encode())
    except OSError as error:
        log.warning("%s is read whole at each load, its digest cannot be kept: %s", identity[0], error)
    return digest


def _noted(name: str, identity: Identity) -> str:
    """The digest in a note about this file as it is now; empty without one."""
    try:
        found = json.loads((_notes() / name).read_bytes())
        return str(found["sha256"]) if found["of"] == list(identity) else ""
    except (OSError, ValueError, TypeError, LookupError):
        return ""


def _notes() -> Path:
    return cache_folder() / "digests"


def _files(folder: ModelFolder) -> Iterator[Path]:
    config = folder.path / LANGUAGE_MODEL / "config.json"
    if config.is_file():  # CosyVoice 1 has none
        yield config
    yield from map(folder.weights, WEIGHTS)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
