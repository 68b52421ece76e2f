"""The page of what is fast by construction names code and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "fast.md").read_text(encoding="utf-8")


def test_its_tests_are_there() -> None:
    """Every file, and every test of it; `…` stands for the file named before."""
    names = re.findall(r"`((?:tests/[\w/]+\.py)|…)(?:::(\w+))?`", PAGE)
    path = ""
    for file, test in names:
        path = path if file == "…" else file
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, f"{path}::{test}"

    assert len(names) > 20


def test_its_files_are_there() -> None:
    """Every file of the package that it names."""
    files = re.findall(
        r"`((?:accel|compat|engine|lab|machine|models|text|voice)/[\w/]+\.py)`|`(\w+\.py)`", PAGE
    )

    assert len(files) > 15
    for within, top in files:
        assert (ROOT / "cosyrt" / (within or top)).is_file(), within or top
