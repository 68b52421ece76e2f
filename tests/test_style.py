"""The sizes that keep the code readable: one idea a file, one thought a function, a README of one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "cosyrt").rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_files_and_functions_stay_small() -> None:
    """A file has at most 400 lines, a function at most 60."""
    large = []
    for path in SOURCES:
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        large += [name] if text.count("\n") > 400 else []
        nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))
        large += [f"{name}: {node.name}" for node in nodes if (node.end_lineno or 0) - node.lineno >= 60]

    assert large == []


def test_every_test_says_what_it_holds() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_the_readme_is_one_sitting() -> None:
    """The README has at most 150 lines and opens with the two commands that everything stands on."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv .venv && ")]

    assert len(lines) <= 150
    assert [line.rpartition(" && ")[2] for line in commands] == [
        ".venv/bin/cosyrt say",
        ".venv/bin/python -m pytest -q -n auto --dist worksteal",
    ]
    assert lines.index(commands[1]) < 20


LOOSE = ("The same", "Of ", "What it", "It ", "Its ", "Those ", "They ", "Them", "All of that", "That ")
DOCUMENTED = (*FUNCTIONS, ast.ClassDef, ast.Module)


@pytest.mark.parametrize("folder", ["cosyrt", "benchmarks", "recipes", "scripts", "tests"])
def test_a_docstring_can_be_read_alone(folder: str) -> None:
    """No docstring opens with a word that points to something outside of it."""
    loose = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {text.splitlines()[0]}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node) or "").startswith(LOOSE)
    ]

    assert loose == []


def test_every_package_tells_a_newcomer_where_to_begin() -> None:
    """The `__init__.py` of each package opens with two or three sentences."""
    for path in sorted((ROOT / "cosyrt").rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
        assert text.count(".") >= 2, f"{path.relative_to(ROOT)} tells a newcomer too little"
