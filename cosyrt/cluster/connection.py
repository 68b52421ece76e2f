"""The way into a cluster of Ray: one that runs somewhere, or a private one on this machine.

Whoever reaches the ports of a cluster can run programs in it. A private one listens on the loopback address
alone, wants a token that is made anew each time, and has no dashboard.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil

from cosyrt.errors import MissingDependency, UsageError, one_line

log = logging.getLogger(__name__)

LOCAL = "local"
LOOPBACK = "127.0.0.1"
MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
OBJECTS_BYTES = 200 * 2**20  # audio on its way between processes of a private cluster


def check_installed() -> None:
    """Refuse to start without Ray.

    Raises:
        MissingDependency: it is not installed.
    """
    if find_spec("ray") is None:
        raise MissingDependency("--cluster needs Ray; install the extra: pip install 'cosyrt[cluster]'")


@contextmanager
def connected(address: str, *, cpus: float) -> Iterator[None]:
    """Be connected to a cluster until the end of the block; a private one ends with it.

    `cpus` is what a private one may give away: whoever starts it says what is wanted, so it is always enough.

    Raises:
        MissingDependency: Ray is not installed. UsageError: there is no cluster at the address.
    """
    check_installed()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report over the network
    if address == LOCAL:
        os.environ[MODE], os.environ[TOKEN] = "token", secrets.token_hex(32)
    import ray

    try:
        if address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=ceil(cpus),
                include_dashboard=False,
                object_store_memory=OBJECTS_BYTES,
                _node_ip_address=LOOPBACK,
                logging_level=logging.WARNING,
                log_to_driver=False,  # it writes to standard output, which is for results
            )
        else:
            _join(address)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no cluster answers at {address!r}: {one_line(error, 200)}; start one: ray start --head"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    import ray

    ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
    if os.environ.get(MODE, "").lower() != "token":
        log.warning("the cluster at %s wants no token: whoever reaches it can run programs in it", address)
