"""`python -m tests.golden FOLDER NAME`: ours against upstream's numbers, one row an array."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from tests.golden.cosyvoice import CosyVoice
from tests.golden.cosyvoice2 import CosyVoice2
from tests.golden.cosyvoice3 import CosyVoice3
from tests.golden.questions import Golden, Row
from tests.golden.weights import write_folder

FAMILIES: dict[str, type[Golden]] = {kind.family: kind for kind in (CosyVoice, CosyVoice2, CosyVoice3)}


def compare(golden: Path, name: str) -> list[Row]:
    """Rebuild the weights as a model folder, load it the ordinary way, ask every question of the set."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(golden, name, Path(folder))
        settings, networks = build(ModelFolder.open(folder))
        with np.load(golden / f"{name}.npz") as arrays:
            return FAMILIES[family_of(name)](dict(arrays), settings, networks).rows()


def family_of(name: str) -> str:
    """The family in the name of a set: the part before its size."""
    return name.rpartition("-")[0]


def main() -> int:
    """Print the table; 0 only if every row holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of golden data")
    parser.add_argument("name", help="golden set, such as cosyvoice2-small")
    options = parser.parse_args()
    if not (options.folder / f"{options.name}.npz").is_file():
        parser.error(f"{options.folder} has no {options.name}.npz")
    if family_of(options.name) not in FAMILIES:
        parser.error(f"{options.name} is of another family; known are {', '.join(FAMILIES)}")
    rows = compare(options.folder, options.name)
    print(f"{'array':<28}{'largest error':>15}{'tolerance':>12}  ok")
    for row in rows:
        print(f"{row.name:<28}{row.error:>15.2e}{row.tolerance:>12.0e}  {'yes' if row.ok else 'NO'}")
    held = sum(row.ok for row in rows)
    print(f"{options.name}: {held} of {len(rows)} arrays hold")
    return 0 if held == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
