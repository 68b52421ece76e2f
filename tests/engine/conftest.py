"""The networks of the tiny model, and the plain way to run them."""

from __future__ import annotations

import pytest

from cosyrt.engine.stages import Networks, Stages, eager
from tests import tiny


@pytest.fixture(scope="session")
def networks() -> Networks:
    return Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder())


@pytest.fixture(scope="session")
def stages(networks: Networks) -> Stages:
    return eager(networks)
