"""The first run of a stranger's encoder on this machine: in a process of its own, with limits.

Operators of an allowed graph may still be given sizes that compute for hours or need all memory. So a file
whose digest is not known runs on the recording in a child process that may take so much time and memory; its
graph is checked there, what it gives is used, and the digest is written down. From then on the file runs in
this process, where its session stays open; `onnx_encoder.run` opens none whose graph it has not checked.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cosyrt
from cosyrt.errors import CosyrtError, WeightsError, one_line
from cosyrt.files import cache_folder, file_sha256, replace_file
from cosyrt.voice.onnx_encoder import run

log = logging.getLogger(__name__)

LIMIT_S = 180  # the largest official encoder takes about 10 s for 30 s of sound on two cores
MOST_CORES = 4  # the processor time of the child ends at so many times the limit, should its parent be gone
SPARE_BYTES = 6_000_000_000  # of address space, beside three times the file: most of it is never used
STARTED = b"encoder\n"  # what a child says first
ANSWER_IS_ERROR = 3  # exit code: what is printed is the line of an error
PACKAGE = Path(cosyrt.__file__).parent
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def encoded(path: Path, *inputs: NDArray[Any]) -> NDArray[Any]:
    """Run an encoder on inputs by position; the first time on this machine in a process of its own.

    Raises:
        WeightsError: the file cannot be used, or goes beyond the limits of a first run.
    """
    if is_trusted(path):
        return run(path, *inputs)
    child = _in_child(path, *inputs)
    if child is None:
        log.warning("no process can be started to try %s in: it runs in this one", path)
        return run(path, *inputs)
    output = _answer_of(path, child)
    _trust(path)
    return output


def is_trusted(path: Path) -> bool:
    """Whether a file is of this package, or has run within the limits on this machine before."""
    return PACKAGE / "builtin" in path.resolve().parents or _note(path).is_file()


def _in_child(path: Path, *inputs: NDArray[Any]) -> subprocess.CompletedProcess[bytes] | None:
    """Run an encoder in a child process; None where there is no interpreter that could be started.

    Raises:
        WeightsError: it takes longer than it may.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    given = io.BytesIO()
    np.savez(given, *inputs)
    command = [sys.executable, "-P", "-m", "cosyrt.voice.first_run", str(path.absolute())]
    known = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    surroundings = os.environ | _THREADS | {"PYTHONPATH": known}
    try:
        child = subprocess.run(
            command, input=given.getvalue(), capture_output=True, timeout=LIMIT_S, env=surroundings
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(
            f"{path} computes for more than {LIMIT_S} s, as no official encoder does; download it again"
        ) from error
    except OSError:  # no more processes, or no program of that name
        return None
    return child if child.stdout.startswith(STARTED) else None


def _answer_of(path: Path, child: subprocess.CompletedProcess[bytes]) -> NDArray[Any]:
    """The numbers that a child gave.

    Raises:
        WeightsError: it gave an error, or ended without a word.
    """
    answer = child.stdout.removeprefix(STARTED)
    if child.returncode == ANSWER_IS_ERROR:
        raise WeightsError(answer.decode(errors="replace"))
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        last = f": {one_line(lines[-1], 200)}" if lines else ""
        raise WeightsError(
            f"{path} ended the process that tried it (exit code {child.returncode}){last}; download it again"
        )
    output: NDArray[Any] = np.load(io.BytesIO(answer), allow_pickle=False)
    return output


def _trust(path: Path) -> None:
    """Write down that a file has run; where that cannot be, the next process tries it again."""
    note = _note(path)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, b"")
    except OSError:
        log.info("%s cannot be written: %s will be tried again", note, path)


def _note(path: Path) -> Path:
    """The file that says that an encoder of this content has run."""
    status = path.stat()
    return cache_folder() / "encoders" / _digest(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _digest(path: str, size: int, changed_ns: int) -> str:
    try:
        return file_sha256(Path(path))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}; download it again") from error


def _limit(path: Path) -> None:
    """Bound the memory and the processor time of this process; Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: 3 * path.stat().st_size + SPARE_BYTES,
        resource.RLIMIT_CPU: MOST_CORES * LIMIT_S,
    }
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _answer(path: Path) -> int:
    """Run the encoder on what standard input holds and write what it gives, or the line of an error."""
    out = sys.stdout.buffer
    out.write(STARTED)
    out.flush()
    _limit(path)
    given = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    try:
        np.save(out, run(path, *given.values()), allow_pickle=False)
    except CosyrtError as error:
        out.write(str(error).encode())
        return ANSWER_IS_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(_answer(Path(sys.argv[1])))
