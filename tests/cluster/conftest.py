"""Real replicas of the tiny model in the process of the test, and a scheduler that reaches them by a link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosyrt.cluster.remote import RemoteScheduler
from cosyrt.cluster.replica import Identity, Replica, ReplicaConfig
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.scheduler import SchedulerConfig
from tests.cluster.links import NearLink


@pytest.fixture(scope="session")
def config(tiny_folder: Path) -> ReplicaConfig:
    """The tiny model, two requests at once, and one that waits."""
    limits = SchedulerConfig(max_active=2, max_queue=1)
    return ReplicaConfig(model=str(tiny_folder), device="cpu", plan=False, scheduling=limits)


@pytest.fixture(scope="package")
def replicas(config: ReplicaConfig) -> Iterator[tuple[Replica, Replica]]:
    """Two replicas that all tests share; those that are lost to one test are there for the next."""
    made = Replica(config, Identity.of(config)), Replica(config, Identity.of(config))
    yield made
    for each in made:
        each.close()


@pytest.fixture
def link(replicas: tuple[Replica, Replica]) -> NearLink:
    """The way to both."""
    return NearLink(*replicas)


@pytest.fixture
def remote(link: NearLink, tiny: Pipeline) -> Iterator[RemoteScheduler]:
    """A scheduler whose models are behind the link."""
    with RemoteScheduler(link, tiny.sample_rate) as scheduler:
        yield scheduler
