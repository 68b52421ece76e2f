"""The way into a cluster of Ray: one that runs somewhere, or a private one on this machine.

Whoever reaches the ports of a cluster can run programs in it. A private one listens on the loopback address
alone, except for one port of each replica that Ray Serve opens on all addresses. It wants a token that is
made anew each time, at that port too, and has no dashboard.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from typing import Any

from cosyrt.errors import MissingDependency, UsageError, one_line

log = logging.getLogger(__name__)

LOCAL = "local"
MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
MANY_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # its name is narrower than what it does
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
        # Ray turns a loopback address that it is given into the machine's own, unless it is told before it
        # is imported that there is one machine only.
        os.environ[MANY_MACHINES] = "0"
    import ray

    try:
        if address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=ceil(cpus),
                include_dashboard=False,
                object_store_memory=OBJECTS_BYTES,
                logging_level=logging.WARNING,
                log_to_driver=False,  # it would write to standard output, which is for results
            )
        else:
            _join(address)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no cluster answers at {address!r}: {one_line(error, 200)}; start one: ray start --head"
        ) from error
    try:
        with _errors_logged():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Have errors of the cluster logged: Ray writes them to standard output, whatever it is told."""
    from ray._private import worker

    written = worker.print_to_stdstream
    worker.print_to_stdstream = _log_error
    try:
        yield
    finally:
        worker.print_to_stdstream = written


def _log_error(data: dict[str, Any], ignore_prefix: bool) -> None:
    """Take the place of Ray's function, whose arguments these are."""
    log.warning("the cluster says: %s", one_line(" ".join(data["lines"]), 200))


def _join(address: str) -> None:
    import ray

    ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
    if os.environ.get(MODE, "").lower() != "token":
        log.warning("the cluster at %s wants no token: whoever reaches it can run programs in it", address)
