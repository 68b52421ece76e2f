"""From settings to a running service: everything is made here, once, and put away in the opposite order."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cosyrt.accel.guard import GuardConfig
from cosyrt.accel.load import load
from cosyrt.accel.plan import Plan, fitting
from cosyrt.credentials import Credentials
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.speech_scheduler import SpeechScheduler
from cosyrt.errors import UsageError
from cosyrt.labels import LabelSettings
from cosyrt.service.access import EverybodyIsLocal, KnowsCallers
from cosyrt.service.accounts import Accounts
from cosyrt.service.admission import Admission
from cosyrt.service.app import create_app
from cosyrt.service.catalogue import Catalogue
from cosyrt.service.consents import Consents
from cosyrt.service.engines import default_url
from cosyrt.service.housekeeping import Housekeeper
from cosyrt.service.idempotency import IdempotencyKeys
from cosyrt.service.journal import Journal
from cosyrt.service.library_import import import_library
from cosyrt.service.metrics import Metrics
from cosyrt.service.progress import Progress
from cosyrt.service.server import Server, configured, listening
from cosyrt.service.settings import Settings
from cosyrt.service.shared_rates import SharedRates
from cosyrt.service.state import Service
from cosyrt.service.store import Store
from cosyrt.service.store_figures import StoreFigures
from cosyrt.service.tasks import tasks_of
from cosyrt.service.voices import StoredVoices

WATCHED_SLOWER = 2.0  # times what the plan says
WATCHED_SHARE = 0.02  # of the time of its calls, for comparing some with the plain ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """What a service speaks with, on this machine or elsewhere."""

    frontend: Frontend
    scheduler: SpeechScheduler
    plan: Plan | None = None  # that the model on this machine is run by


Begin = Callable[[Settings], AbstractContextManager[Speaking]]


@contextmanager
def opened(settings: Settings, pipeline: Pipeline | None = None) -> Iterator[Service]:
    """A service with its model loaded; at the end what is still being spoken is cancelled.

    Raises:
        CosyrtError: the database or the model cannot be opened, or a setting cannot be used.
    """
    with opened_with(settings, partial(speaking_here, pipeline=pipeline)) as service:
        yield service


@contextmanager
def opened_with(settings: Settings, begin: Begin) -> Iterator[Service]:
    """A service that speaks with what `begin` makes, which is put away at the end.

    Raises:
        CosyrtError: the database or the model cannot be opened, or a setting cannot be used.
    """
    with Store(settings.database or default_url()) as store:
        accounts = Accounts(store) if settings.keys else EverybodyIsLocal()
        check_bind(settings, has_keys=accounts.has_keys())
        with Journal(store) as journal, begin(settings) as speaking:
            service = _assembled(settings, speaking, store, accounts, journal)
            with Housekeeper(tasks_of(service)):
                yield service


@contextmanager
def speaking_here(settings: Settings, pipeline: Pipeline | None = None) -> Iterator[Speaking]:
    """Speak with a model in this process.

    Raises:
        ModelError: the folder cannot be used. UsageError: no such device.
    """
    if pipeline is None:
        pipeline = loaded(settings)
    config = scheduling(settings)
    plan = plan_of(pipeline, config.max_active) if settings.plan else None
    with Scheduler(pipeline, config) as scheduler:
        yield Speaking(frontend=pipeline, scheduler=scheduler, plan=plan)


def scheduling(settings: Settings) -> SchedulerConfig:
    """How many requests are spoken at once, and how many wait."""
    config = SchedulerConfig(max_queue=settings.max_queue)
    return replace(config, max_active=settings.max_active) if settings.max_active else config


def _assembled(
    settings: Settings, speaking: Speaking, store: Store, accounts: KnowsCallers, journal: Journal
) -> Service:
    service: Service
    frontend, scheduler, plan = speaking.frontend, speaking.scheduler, speaking.plan
    voices = StoredVoices(store, frontend.family, most=settings.max_voices)
    import_library(store, voices, frontend.registered)
    service = Service(
        settings=settings,
        frontend=frontend,
        scheduler=scheduler,
        accounts=accounts,
        store=store,
        voices=voices,
        consents=Consents(store),
        idempotency=IdempotencyKeys(store),
        rates=SharedRates(store, settings.requests_per_minute),
        journal=journal,
        catalogue=Catalogue(frontend, settings, voices),
        admission=Admission(streams=settings.streams_per_key, per_minute=settings.requests_per_minute),
        metrics=Metrics(scheduler.load, lambda: not service.problem, frontend.model.device, plan),
        progress=Progress(scheduler.load),
        plan=plan,
        labels=labels_of(settings),
        created=int(time.time()),
    )
    service.metrics.registry.register(StoreFigures(journal, lambda: service.database))
    return service


def labels_of(settings: Settings) -> LabelSettings:
    """What the operator's labels say.

    Raises:
        UsageError: a value that no label can have.
    """
    return LabelSettings(
        producer=settings.label_producer,
        propagator=settings.label_propagator,
        names=settings.label_names,
        notice=settings.label_notice,
        signer=_signer(settings),
    )


def _signer(settings: Settings) -> Credentials | None:
    if not settings.label_certificates and not settings.label_key:
        return None
    if not settings.label_certificates or not settings.label_key:
        raise UsageError("the settings label_certificates and label_key go together; give both, or neither")
    return Credentials(Path(settings.label_certificates), Path(settings.label_key))


def loaded(settings: Settings) -> Pipeline:
    """The model, run by its plan if there is one, and watched while it speaks.

    Raises:
        ModelError: the folder cannot be used. UsageError: no such device.
    """
    return load(
        settings.model or None,
        device=settings.device or None,
        plan=settings.plan,
        watch=watching(settings),
        streams=scheduling(settings).max_active,
    )


def watching(settings: Settings) -> GuardConfig:
    """When a part of the plan is given up."""
    watched = GuardConfig(slower=WATCHED_SLOWER, checked=WATCHED_SHARE)
    return watched if settings.watch_plan else GuardConfig()


def plan_of(pipeline: Pipeline, streams: int) -> Plan | None:
    """The plan that the model is run by for so many streams, if there is one."""
    plan, _ = fitting(pipeline.model.folder, pipeline.model.device, streams)
    return plan


def check_bind(settings: Settings, *, has_keys: bool) -> None:
    """Refuse to listen to other machines without keys.

    Raises:
        UsageError: whoever reaches the port could use the service.
    """
    if has_keys or settings.open or is_loopback(settings.host):
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


def serve(settings: Settings, announce: Callable[[Service, str], None], begin: Begin = speaking_here) -> None:
    """Serve until a signal comes; `announce` is told the service and its address once the port is open.

    `begin` makes what the service speaks with.

    Raises:
        CosyrtError: the model, the port or a setting cannot be used.
    """
    with opened_with(settings, begin) as service, listening(settings) as listener:
        host, port = listener.getsockname()[:2]
        announce(service, f"http://{f'[{host}]' if ':' in host else host}:{port}")
        config = configured(create_app(service), settings)
        server = Server(config, service.drain, lambda: service.admission.active, settings.drain_s)
        server.run(sockets=[listener])
