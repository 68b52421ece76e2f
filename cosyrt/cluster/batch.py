"""`cosyrt batch --cluster`: the list and the ledger are here, the models in a pool of actors."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path

from cosyrt.batch.manifest import Item
from cosyrt.batch.run import BatchConfig, BatchResult, Preparing, limits_of, speak_all
from cosyrt.cluster.connection import connected
from cosyrt.cluster.fleet import Fleet
from cosyrt.cluster.remote import RemoteScheduler
from cosyrt.cluster.replica import ReplicaConfig
from cosyrt.engine.frontend import Frontend


def batch(
    frontend: Frontend,
    items: Iterable[Item],
    folder: str | Path,
    config: BatchConfig,
    *,
    address: str,
    fleet: Fleet,
    replica: ReplicaConfig,
) -> Generator[BatchResult, None, None]:
    """Speak a list of texts on the machines of a cluster; each result comes when it is finished.

    All that holds of a batch on one machine holds of it. A text whose actor dies is begun again by another;
    what was finished stays finished.

    Raises:
        MissingDependency: Ray is not installed. UsageError: there is no cluster, or no actor starts.
        CosyrtError: as `cosyrt.batch.run.batch`.
    """
    with connected(address, cpus=fleet.most * fleet.cpus):
        from cosyrt.cluster.pool import PoolLink, started

        limits = limits_of(config)
        capacity = limits.max_active + limits.max_queue
        own_voices = {voice.digest for voice in frontend.voices.values()}
        link = PoolLink(started(replica, fleet), limits.max_active, capacity, own_voices)
        speaker = RemoteScheduler(link, frontend.sample_rate)
        preparing = Preparing(frontend, config)
        yield from speak_all(preparing, speaker, items, folder, at_once=fleet.replicas * capacity)
