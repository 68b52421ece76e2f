"""The networks of the tiny model, and the plain way to run them."""

from __future__ import annotations

import pytest

from cosyrt.engine.stages import Models, Stages, eager
from tests import tiny


@pytest.fixture(scope="session")
def models() -> Models:
    return Models(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder())


@pytest.fixture(scope="session")
def stages(models: Models) -> Stages:
    return eager(models)
