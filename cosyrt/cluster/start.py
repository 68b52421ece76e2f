"""`cosyrt serve --cluster`: the service of one machine, which speaks by replicas of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cosyrt.cluster.connection import connected
from cosyrt.cluster.fleet import Fleet
from cosyrt.cluster.remote import RemoteScheduler
from cosyrt.cluster.replica import ReplicaConfig
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.model import DescribedModel
from cosyrt.service.settings import Settings
from cosyrt.service.start import Speaking, scheduling, watching
from cosyrt.service.start import serve as serve_with
from cosyrt.service.state import Service


def serve(settings: Settings, announce: Callable[[Service, str], None]) -> None:
    """Serve until a signal comes, with the replicas of a cluster.

    Raises:
        CosyrtError: the cluster, the model, the port or a setting cannot be used.
    """
    serve_with(settings, announce, speaking_in_cluster)


@contextmanager
def speaking_in_cluster(settings: Settings) -> Iterator[Speaking]:
    """Speak with replicas of the cluster that the settings name; a private one ends with the block.

    Raises:
        MissingDependency: Ray is not installed. UsageError: no cluster answers, or no replica starts.
        ModelError: the folder cannot be used.
    """
    fleet = fleet_of(settings)
    frontend = Frontend(DescribedModel.read(settings.model or None))
    with connected(settings.cluster, cpus=fleet.most * fleet.cpus):
        from cosyrt.cluster.deploy import ServeLink, deployed

        handle = deployed(replica_config(settings), fleet, settings.drain_s)
        own_voices = {voice.digest for voice in frontend.voices.values()}
        with RemoteScheduler(ServeLink(handle, own_voices), frontend.sample_rate) as scheduler:
            yield Speaking(frontend=frontend, scheduler=scheduler)


def fleet_of(settings: Settings) -> Fleet:
    """The replicas that the settings want.

    Raises:
        UsageError: fewer at most than at least.
    """
    return Fleet(
        replicas=settings.replicas,
        max_replicas=settings.max_replicas,
        cpus=settings.replica_cpus,
        gpus=settings.replica_gpus,
    )


def replica_config(settings: Settings) -> ReplicaConfig:
    """What each replica loads."""
    return ReplicaConfig(
        model=settings.model or None,
        device=settings.device or None,
        plan=settings.plan,
        watch=watching(settings),
        scheduling=scheduling(settings),
    )
