"""Families: what is special about each stands in one place, and every field of it is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from cosyrt.families import FAMILIES, Family

PACKAGE = Path(__file__).parent.parent / "cosyrt"
# Where a family may be named: its facts, its engine, upstream's API, and the archives that upstream invented.
AT_HOME = ("families.py", "engine/cosyvoice*.py", "compat/cosyvoice.py", "accel/torchscript/stages.py")
# The family of a voice that does not say, of the case that the doctor reproduces, and of an example.
BY_NAME = {"voice/voice.py", "lab/doctor/executor.py", "compat/alias.py", "service/examples.py"}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_family_has_an_engine(family: Family) -> None:
    """The module that a family names reads its folders."""
    assert callable(import_module(f"cosyrt.engine.{family.module}").build)


def test_families_are_told_apart() -> None:
    """No two have one name, or one class in a description."""
    for key in ("name", "title", "described_as", "module", "speech_tokenizer"):
        assert len({getattr(family, key) for family in FAMILIES.values()}) == len(FAMILIES)


def test_nobody_else_asks_which_family_it_is() -> None:
    """No other file has the name of a family as a string: it asks for the fact that it needs."""
    named = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(text in FAMILIES or re.fullmatch(r"COSYVOICE\d", text) for text in words(path))
        and not any(path.relative_to(PACKAGE).match(home) for home in AT_HOME)
    }

    assert named == BY_NAME


def words(path: Path) -> Iterator[str]:
    """The strings and names of a source file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
