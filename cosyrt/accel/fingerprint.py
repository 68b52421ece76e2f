"""Which model it is: what plans and kept graphs hold for, down to the last byte of its weights.

Samples would not do: a fine-tuned model differs where nobody looked, and a kept graph would speak with the
old weights. Reading a model of 2 GB takes seconds, so a file's digest is kept in the user's cache folder for
as long as its size, its time and its inode stay.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import cosyrt
from cosyrt.accel.cache_folder import digests_folder
from cosyrt.accel.torchscript.manifest import sha256
from cosyrt.checkpoint.folder import LANGUAGE_MODEL, ModelFolder, WeightsFile
from cosyrt.files import replace_file

log = logging.getLogger(__name__)

WEIGHTS: tuple[WeightsFile, ...] = ("llm", "flow", "hift")

Identity = tuple[str, int, int, int]  # of a file: path, bytes, time of change in ns, inode


def fingerprint(folder: ModelFolder) -> str:
    """16 hexadecimal digits of description, language model's configuration and weights.

    Raises:
        ModelNotFound: a file of weights is not there. OSError: it cannot be read.
    """
    digest = hashlib.sha256(repr(folder.description).encode())
    for path in _files(folder):
        digest.update(f"{path.name} {file_digest(path)}".encode())
    return digest.hexdigest()[:16]


def _files(folder: ModelFolder) -> Iterator[Path]:
    config = folder.path / LANGUAGE_MODEL / "config.json"
    if config.is_file():  # CosyVoice 1 has none
        yield config
    yield from map(folder.weights, WEIGHTS)


def file_digest(path: Path) -> str:
    """SHA-256 of all of a file, as hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _digest((os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ino))


@lru_cache(maxsize=64)
def _digest(identity: Identity) -> str:
    """Known from this process, from an earlier one, or read now."""
    note = digests_folder() / f"{hashlib.sha256(identity[0].encode()).hexdigest()[:24]}.json"
    if known := _noted(note, identity):
        return known
    digest = sha256(Path(identity[0]))
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, json.dumps({"of": identity, "sha256": digest}).encode())
    except OSError as error:
        log.warning("%s is read whole at each load, its digest cannot be kept: %s", identity[0], error)
    return digest


def _noted(note: Path, identity: Identity) -> str:
    """The digest in a note about this file as it is now; empty without one."""
    try:
        found = json.loads(note.read_bytes())
        return str(found["sha256"]) if found["of"] == list(identity) else ""
    except (OSError, ValueError, TypeError, LookupError):
        return ""


@cache
def made_of(versions: str, sources: tuple[str, ...]) -> str:
    """A short digest of versions and of source files, as patterns within the package."""
    digest = hashlib.sha256(versions.encode())
    package = Path(cosyrt.__file__).parent
    for path in sorted(path for pattern in sources for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
