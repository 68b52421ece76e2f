"""A tiny model, exported once for all tests; the same, loaded to be measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.lab.export import Exported, export
from cosyrt.lab.workload import Subject


@pytest.fixture(scope="session")
def exported(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """The archives of the tiny model by precision, with their manifests; not to be written to."""
    made = export(ModelFolder.open(tiny_folder), out=tmp_path_factory.mktemp("archives"))
    return {each.manifest.precision: each for each in made}


@pytest.fixture(scope="session")
def subject(tiny_folder: Path) -> Subject:
    """The tiny model with its networks and its plain stages."""
    return Subject.open(str(tiny_folder), "cpu")
