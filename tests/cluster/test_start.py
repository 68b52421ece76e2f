"""A service that speaks by replicas is the service of one machine in everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cosyrt.cluster.remote import RemoteScheduler
from cosyrt.cluster.start import fleet_of, replica_config
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.model import DescribedModel
from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.settings import Settings
from cosyrt.service.start import Speaking
from tests.cluster.links import NearLink
from tests.service.served import Served, serving, serving_with
from tests.service.test_delivery import LONG


@pytest.fixture
def gateway(link: NearLink, tiny_folder: Path) -> Iterator[Served]:
    """The service with a frontend alone: no weights are loaded, and the replicas are behind the link."""

    @contextmanager
    def begin(settings: Settings) -> Iterator[Speaking]:
        frontend = Frontend(DescribedModel.read(tiny_folder))
        with RemoteScheduler(link, frontend.sample_rate) as scheduler:
            yield Speaking(frontend=frontend, scheduler=scheduler)

    with serving_with(begin) as each:
        yield each


def test_the_same_bytes(gateway: Served, tiny: Pipeline) -> None:
    """What a client gets through the gateway is what one machine sends it."""
    with serving(tiny) as near:
        expected = near.speak("Hi there.", response_format="pcm").body
    assert gateway.speak("Hi there.", response_format="pcm").body == expected


def test_a_lost_replica_cuts_the_body(gateway: Served, link: NearLink) -> None:
    """The body does not end as if it were whole."""
    from http.client import IncompleteRead

    link.breaks_after = 2
    with gateway.open("POST", "/v1/audio/speech", {"input": LONG, "response_format": "pcm"}) as response:
        assert response.status == 200
        with pytest.raises((IncompleteRead, ConnectionError)):
            response.read()


def test_without_replicas(gateway: Served, link: NearLink) -> None:
    """The status is 503, and the client is told when to come back."""
    link.replicas.clear()
    answer = gateway.speak("Hi.")
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1


def test_lists_need_no_weights(gateway: Served) -> None:
    """Voices, models and readiness are told by the frontend."""
    for path in ("/v1/models", "/v1/audio/voices", "/v1/capabilities", "/ready", "/metrics"):
        assert gateway.ask("GET", path).status == 200, path


def test_what_the_settings_say_of_replicas() -> None:
    """Their number and share of a machine, and what each loads."""
    settings = Settings(replicas=2, max_replicas=4, replica_cpus=0.5, max_active=3, max_queue=2, device="cpu")
    fleet, config = fleet_of(settings), replica_config(settings)

    assert (fleet.replicas, fleet.most, fleet.cpus) == (2, 4, 0.5)
    assert (config.capacity, config.device, config.model) == (5, "cpu", None)
