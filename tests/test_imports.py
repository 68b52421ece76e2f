"""Imports point one way, and nothing that speaks sees what measures and explains."""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator
from graphlib import TopologicalSorter
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "arguments", "units", "ranges", "families", "files", "startup"}
DATA = GROUND | {
    "labels",
    "label_check",
    "credentials",
    "formats",
    "encoders",
    "audio",
    "loudness",
    "mel",
    "checkpoint",
    "machine",
}
SPEECH = DATA | {"text", "voice", "models"}

# What a file or folder of cosyrt may import of cosyrt, beside its own siblings. TOP may import everything but
# `lab`, which only the command line sees.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "startup": {"errors"},
    "arguments": {"errors"},
    "units": {"errors"},
    "ranges": {"errors"},
    "families": {"units"},
    "files": {"errors"},
    "sound_source": GROUND,
    "sound_file": GROUND | {"sound_source"},
    "labels": GROUND | {"formats"},
    "formats": GROUND,
    "notice": set(),
    "encoders": GROUND | {"formats", "labels", "notice"},
    "credentials": GROUND | {"encoders", "formats"},
    "label_check": GROUND | {"labels", "credentials", "sound_file", "sound_source"},
    "audio": GROUND | {"sound_file", "sound_source", "encoders", "labels", "playback"},  # to be played
    "loudness": GROUND | {"audio"},
    "mel": GROUND | {"audio"},
    "checkpoint": GROUND,
    "machine": GROUND,
    "playback": GROUND,
    "models": {"units", "ranges"},
    "text": GROUND | {"checkpoint"},
    "voice": GROUND | {"audio", "mel", "checkpoint", "text"},
    "engine": SPEECH,
    "accel": SPEECH | {"engine"},
    "batch": SPEECH | {"engine", "accel", "formats"},
    "service": SPEECH | {"engine", "accel"},
    "cluster": SPEECH | {"engine", "accel", "batch", "service"},
    "lab": SPEECH | {"engine", "accel"},
}
TOP = {"__init__", "__main__", "cli", "compat"}
SEES_LAB = {"cli", "lab"}
RECIPES = DATA | {"models", "text", "voice"}
FOR_TEACHERS = "cosyrt.accel.backend.graph_rewrites.rewrite"  # a recipe runs other people's graphs, fast


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def part(name: str) -> str:
    """The file or folder of cosyrt that a dotted name lies in."""
    return name.split(".")[1]


def packages(path: Path) -> set[str]:
    """Packages that a file imports something of."""
    return {name.partition(".")[0] for name in imports(path)}


def sources(place: str) -> list[Path]:
    """A file, or all files of a folder."""
    path = ROOT / place
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_imports_of_the_package_point_one_way() -> None:
    """No file imports from a layer above its own."""
    wrong = []
    for path in sources("cosyrt"):
        home = path.relative_to(ROOT / "cosyrt").parts[0].removesuffix(".py")
        assert home in ALLOWED or home in TOP, f"{home} has no place in the order of layers yet"
        inside = {part(name) for name in imports(path) if name.startswith("cosyrt.")}
        above = set() if home in TOP else inside - ALLOWED[home] - {home}
        above |= {"lab"} & inside if home not in SEES_LAB else set()
        wrong += [f"{path.relative_to(ROOT)} imports {name}" for name in sorted(above)]

    assert wrong == []


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        (
            "cosyrt",
            {"onnxruntime", "openvino"},
        ),  # only `cosyrt.startup` does, so that it can forbid them to report
        ("cosyrt/text", {"torch"}),
        ("cosyrt/voice", {"torch"}),
        ("cosyrt/audio.py", {"torch"}),
        ("cosyrt/mel.py", {"torch"}),
    ],
)
def test_packages_that_are_not_imported_there(folder: str, forbidden: set[str]) -> None:
    """What reports when it is imported has one place; text and audio are prepared without torch."""
    assert [str(path.relative_to(ROOT)) for path in sources(folder) if forbidden & packages(path)] == []


def test_models_are_pure_torch() -> None:
    """A model file needs torch and the standard library: no backend, no numpy, no files."""
    known = sys.stdlib_module_names | {"torch", "cosyrt"}

    assert {
        path.name: outside for path in sources("cosyrt/models") if (outside := packages(path) - known)
    } == {}


def test_recipes_see_models_not_the_engine() -> None:
    """Training uses the models and the front end; it does not lean on how speech is served."""
    inside = {
        part(name)
        for path in sources("recipes")
        for name in imports(path)
        if name.startswith("cosyrt.") and name != FOR_TEACHERS
    }

    assert inside <= RECIPES


def test_no_imports_go_round_in_a_circle() -> None:
    """The modules can be put in an order in which each imports only those before it, in functions too."""
    modules = {module(path): path for path in sources("cosyrt")}
    # The package itself is left out: it offers its names lazily, and is there before every module in it.
    graph = {name: imported(path, modules) - {"cosyrt", name} for name, path in modules.items()}

    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


def module(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, modules: Container[str]) -> set[str]:
    """The modules of the package that a file imports; a name in a module counts for that module."""
    prefixes = (list(accumulate(name.split("."), "{}.{}".format)) for name in imports(path))
    return {next((name for name in reversed(names) if name in modules), "cosyrt") for names in prefixes}


def test_the_walk_finds_what_it_looks_for(tmp_path: Path) -> None:
    """An import inside a function, plain or from, is seen."""
    path = tmp_path / "x.py"
    path.write_text("def f():\n    import cosyrt.engine.pipeline\n    from cosyrt.cli import main\n")

    assert {part(name) for name in imports(path)} == {"engine", "cli"}
