"""A tiny model, exported once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.accel.export import Exported, export
from cosyrt.checkpoint import ModelFolder


@pytest.fixture(scope="session")
def exported(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """The archives of the tiny model by precision, with their manifests; not to be written to."""
    made = export(ModelFolder.open(tiny_folder), out=tmp_path_factory.mktemp("archives"))
    return {each.manifest.precision: each for each in made}
