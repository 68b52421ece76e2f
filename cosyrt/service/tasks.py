"""The tasks of a service's housekeeping."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.library_import import import_library
from cosyrt.service.retention import delete_old
from cosyrt.service.schema import AuditRow, RequestRow
from cosyrt.service.state import Service


def tasks_of(service: Service) -> dict[str, Callable[[], object]]:
    """What is to be done every minute, by name."""
    store, settings = service.store, service.settings
    library = service.frontend.registered
    return {
        "looking at the database": partial(_look, service),
        "ending consents": service.consents.end_expired,
        "forgetting voices": partial(forget_gone_voices, service),
        "taking over voices": partial(import_library, store, service.voices, library),
        "forgetting rates": service.rates.forget_stale,
        "forgetting idempotency keys": service.idempotency.forget_old,
        "deleting requests": partial(delete_old, store, RequestRow, settings.keep_requests_days),
        "deleting audits": partial(delete_old, store, AuditRow, settings.keep_audit_days),
    }


def _look(service: Service) -> None:
    """Find out whether anything can be kept, for those who watch the service."""
    try:
        service.store.check_writable()
        service.database = ""
    except StoreUnavailable as error:
        service.database = str(error)
        raise


def forget_gone_voices(service: Service) -> None:
    """Let neither the service nor the engine keep anything of voices that are gone."""
    for digest in service.voices.forget_gone():
        service.scheduler.forget(digest)
