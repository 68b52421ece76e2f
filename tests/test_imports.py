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


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources("cosyrt"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_of_the_package_point_one_way(path: Path) -> None:
    """No file imports from a layer above its own."""
    home = path.relative_to(ROOT / "cosyrt").parts[0].removesuffix(".py")
    assert home in ALLOWED or home in TOP, f"{home} has no place in the order of layers yet"
    inside = {part(name) for name in imports(path) if name.startswith("cosyrt.")}

    assert home in SEES_LAB or "lab" not in inside
    assert home in TOP or inside <= ALLOWED[home] | {home}


@pytest.mark.parametrize("path", sources("cosyrt"), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_reports_when_it_is_imported_is_imported_in_one_place(path: Path) -> None:
    """Only `cosyrt.startup` imports ONNX Runtime and OpenVINO, so that it can forbid them to report."""
    assert not {"onnxruntime", "openvino"} & {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", sources("cosyrt/models"), ids=lambda path: path.name)
def test_models_are_pure_torch(path: Path) -> None:
    """A model file needs torch and the standard library: no backend, no numpy, no files."""
    outside = {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)

    assert outside <= {"torch", "cosyrt"}


@pytest.mark.parametrize(
    "path",
    [ROOT / "cosyrt/audio.py", ROOT / "cosyrt/mel.py", *sources("cosyrt/text"), *sources("cosyrt/voice")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_audio_text_and_voice_use_numpy(path: Path) -> None:
    """Text and audio are prepared without torch."""
    assert "torch" not in {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", sources("recipes"), ids=lambda path: str(path.relative_to(ROOT)))
def test_recipes_see_models_not_the_engine(path: Path) -> None:
    """Training uses the models and the front end; it does not lean on how speech is served."""
    inside = {part(name) for name in imports(path) if name.startswith("cosyrt.")}

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
