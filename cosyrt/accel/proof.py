"""Is an archive right? It is run in a fresh process, as a user's would, and held against the plain model.

python -m cosyrt.accel.proof ARCHIVE CHECKPOINT CASES     → one JSON object
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from cosyrt.accel.archive import Archive
from cosyrt.accel.cases import TOLERANCE, Case, as_dtype, distance, flat
from cosyrt.errors import ArchiveError


def prove(archive: Path, checkpoint: Path, cases: Path) -> float:
    """The largest error over all cases, measured in a process that knows nothing but the files.

    Raises:
        ArchiveError: the archive cannot be loaded there, or is further off than its precision explains.
    """
    command = [sys.executable, "-m", "cosyrt.accel.proof", str(archive), str(checkpoint), str(cases)]
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1][:300]
        raise ArchiveError(f"the archive failed in a fresh process and was not kept: {reason}")
    error = float(json.loads(done.stdout)["error"])
    precision = archive.name.split(".")[-2]
    if not error <= TOLERANCE[precision]:
        raise ArchiveError(
            f"{archive.name} is {error:.2g} of the largest output away from the plain model, "
            f"{TOLERANCE[precision]:.2g} is the most; it was not kept; leave {precision} out or report it"
        )
    return error


def largest_error(archive: Archive, cases: Iterable[Case]) -> float:
    """How far the archive is from what was expected; infinite where shapes or masks differ."""
    return max(distance(_run(archive, case), case.expected) for case in cases)


def _run(archive: Archive, case: Case) -> list[Tensor]:
    with torch.inference_mode():
        return flat(archive.call(case.method, *(as_dtype(arg, archive.dtype) for arg in case.args)))


def write_cases(path: Path, cases: Iterable[Case]) -> int:
    """Write the cases for another process; returns how many."""
    with torch.inference_mode():
        written = [tuple(case) for case in cases]
    torch.save(written, path)
    return len(written)


def main(archive: str, checkpoint: str, cases: str) -> None:
    """What the fresh process does."""
    read = torch.load(cases, weights_only=True)
    opened = Archive.open(Path(archive), checkpoint=Path(checkpoint))
    kept = sorted({case[0] for case in read})
    lacking = [method for method in kept if not opened.has(method)]
    if lacking:
        raise SystemExit(f"it lost the methods {', '.join(lacking)}")
    error = largest_error(opened, (Case(*case) for case in read))
    sys.stdout.write(json.dumps({"error": error, "methods": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])
