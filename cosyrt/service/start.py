"""From settings to a running service: everything is made here, once, and put away in the opposite order."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cosyrt.accel.load import load
from cosyrt.accel.plan import fitting
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.errors import UsageError
from cosyrt.service.access import EverybodyIsLocal
from cosyrt.service.admission import Admission
from cosyrt.service.app import create_app
from cosyrt.service.catalogue import Catalogue
from cosyrt.service.metrics import Metrics
from cosyrt.service.server import Server, configured, listening
from cosyrt.service.settings import Settings
from cosyrt.service.state import Service


@contextmanager
def opened(settings: Settings, pipeline: Pipeline | None = None) -> Iterator[Service]:
    """A service with its model loaded; at the end what is still being spoken is cancelled.

    Raises:
        CosyrtError: the model cannot be loaded, or a setting cannot be used.
    """
    if pipeline is None:
        pipeline = load(settings.model or None, device=settings.device or None, plan=settings.plan)
    chosen = {"max_queue": settings.max_queue}
    if settings.max_active:
        chosen["max_active"] = settings.max_active
    with Scheduler(pipeline, SchedulerConfig(**chosen)) as scheduler:
        yield _assembled(settings, pipeline, scheduler)


def _assembled(settings: Settings, pipeline: Pipeline, scheduler: Scheduler) -> Service:
    service: Service
    metrics = Metrics(
        scheduler.load, lambda: not service.not_ready, plan_of(pipeline) if settings.plan else {}
    )
    service = Service(
        settings=settings,
        pipeline=pipeline,
        scheduler=scheduler,
        accounts=EverybodyIsLocal(),
        catalogue=Catalogue(pipeline, settings),
        admission=Admission(streams=settings.streams_per_key, per_minute=settings.requests_per_minute),
        metrics=metrics,
        created=int(time.time()),
    )
    return service


def plan_of(pipeline: Pipeline) -> dict[str, str]:
    """The backend of each part that a plan has sped up."""
    plan, _ = fitting(pipeline.model.folder, pipeline.model.device)
    return {} if plan is None else {part: planned.backend for part, planned in plan.parts.items()}


def check_bind(settings: Settings, needs_keys: bool) -> None:
    """Refuse to listen to other machines without keys.

    Raises:
        UsageError: whoever reaches the port could use the service.
    """
    if needs_keys or settings.open or is_loopback(settings.host):
        return
    raise UsageError(
        f"anybody who reaches {settings.host} could use this service; make a key (cosyrt keys add NAME), "
        "or say --open"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(settings: Settings, announce: Callable[[Service, str], None]) -> None:
    """Serve until a signal comes; `announce` is told the service and its address once the port is open.

    Raises:
        CosyrtError: the model, the port or a setting cannot be used.
    """
    check_bind(settings, needs_keys=False)
    with opened(settings) as service, listening(settings) as listener:
        host, port = listener.getsockname()[:2]
        announce(service, f"http://{f'[{host}]' if ':' in host else host}:{port}")
        config = configured(create_app(service), settings)
        server = Server(config, service.drain, lambda: service.admission.active, settings.drain_s)
        server.run(sockets=[listener])
