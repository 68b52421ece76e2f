"""Is an archive right? It is run in a fresh process, as a user's would, and held against the plain model.

python -m cosyrt.lab.proof ARCHIVE CHECKPOINT CASES     → one JSON object
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from cosyrt.accel.torchscript.archive import Archive, constants, methods, read
from cosyrt.accel.torchscript.cases import TOLERANCE, Case, as_dtype, distance, flat
from cosyrt.errors import ArchiveError

SHORT_TOKENS = 2


def prove(archive: Path, checkpoint: Path, cases: Path) -> float:
    """The largest error over all cases, measured in a process that knows nothing but the files.

    Raises:
        ArchiveError: the archive cannot be loaded there, or is further off than its precision explains.
    """
    command = [sys.executable, "-m", "cosyrt.lab.proof", str(archive), str(checkpoint), str(cases)]
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


def error_of(archive: Archive, cases: list[Case]) -> float:
    """How far the archive is from what was expected.

    A CPU computes in float16 a hundred times slower than in float32. So long calls of a float16 archive are
    computed in float32, with the weights as they were rounded; short calls are computed as they are.
    """
    if archive.dtype != torch.float16:
        return largest_error(archive, cases)
    short = [case for case in cases if case.args[0].shape[:2].numel() <= SHORT_TOKENS]
    wide = replace(archive, precision="fp32", module=widened(read(archive.path, None)))
    return max(largest_error(archive, short), largest_error(wide, cases))


def largest_error(archive: Archive, cases: Iterable[Case]) -> float:
    """How far the archive is from what was expected; infinite where shapes or masks differ."""
    return max(distance(_run(archive, case), case.expected) for case in cases)


def _run(archive: Archive, case: Case) -> list[Tensor]:
    with torch.inference_mode():
        return flat(archive.call(case.method, *(as_dtype(arg, archive.dtype) for arg in case.args)))


def widened(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """The same module, before its first call, with its float16 constants held in float32."""
    for name in methods(module):
        for node in constants(getattr(module, name).graph):
            if node.t("value").dtype == torch.float16:
                node.t_("value", node.t("value").float())
                node.output().inferTypeFrom(node.t("value"))
    return module


def write_cases(path: Path, cases: Iterable[Case]) -> int:
    """Write the cases for another process; returns how many."""
    with torch.inference_mode():
        written = [tuple(case) for case in cases]
    torch.save(written, path)
    return len(written)


def main(archive: str, checkpoint: str, cases: str) -> None:
    """What the fresh process does."""
    written = torch.load(cases, weights_only=True)
    opened = Archive.open(Path(archive), checkpoint=Path(checkpoint))
    kept = sorted({case[0] for case in written})
    lacking = [method for method in kept if not opened.has(method)]
    if lacking:
        raise SystemExit(f"it lost the methods {', '.join(lacking)}")
    sys.stdout.write(json.dumps({"error": error_of(opened, [Case(*case) for case in written])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
