"""All that the routes of one service share: the model, who may call it, and how it is doing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import cached_property

from starlette.requests import HTTPConnection

from cosyrt.accel.guard import disabled
from cosyrt.accel.plan import Plan
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.request import Request, SpeakingStyle
from cosyrt.engine.speech_scheduler import SpeechScheduler
from cosyrt.errors import CosyrtError, UsageError, reason_of
from cosyrt.labels import LabelSettings
from cosyrt.service.access import KnowsCallers
from cosyrt.service.admission import Admission
from cosyrt.service.catalogue import Catalogue
from cosyrt.service.consents import Consents
from cosyrt.service.idempotency import IdempotencyKeys
from cosyrt.service.journal import Journal
from cosyrt.service.metrics import Metrics
from cosyrt.service.progress import Progress
from cosyrt.service.settings import Settings
from cosyrt.service.shared_rates import SharedRates
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices

log = logging.getLogger(__name__)

WARM_UP = "Ready."


@dataclass(eq=False, kw_only=True)
class Service:
    """One model, here or in a cluster, and everything around it."""

    settings: Settings
    frontend: Frontend
    scheduler: SpeechScheduler
    accounts: KnowsCallers
    store: Store
    voices: StoredVoices
    consents: Consents
    idempotency: IdempotencyKeys
    rates: SharedRates
    journal: Journal
    catalogue: Catalogue
    admission: Admission
    metrics: Metrics
    progress: Progress
    plan: Plan | None = None  # that the model is run by
    labels: LabelSettings = LabelSettings()
    database: str = ""  # why nothing can be kept; empty when all is well
    created: int = 0  # seconds since 1970, when the model was loaded
    not_ready: str = "the model is being warmed up"  # why requests would be slow or fail; empty when ready
    encoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))  # of reference audio

    @property
    def problem(self) -> str:
        """Why requests would be slow or fail; empty when the service is ready."""
        return self.not_ready or self.progress.problem()

    @property
    def model(self) -> str:
        """The name of the model in lists."""
        return self.settings.name or self.frontend.model.folder.path.name

    @property
    def backends(self) -> dict[str, str]:
        """The backend of each part of the model that runs by the plan at the moment."""
        if self.plan is None:
            return {}
        model = self.plan.made_for["model"]
        parts = self.plan.parts.items()
        return {part: planned.backend for part, planned in parts if not disabled(model, part)}

    @property
    def rolled_back(self) -> list[str]:
        """The parts of the plan that run plainly again, because they failed or somebody wanted it."""
        return [] if self.plan is None else [part for part in self.plan.parts if part not in self.backends]

    @cached_property
    def follows_instructions(self) -> bool:
        """Whether the model can be told how to speak."""
        style = SpeakingStyle(instruction="Speak softly.")
        try:
            self.frontend.check(Request(text=WARM_UP, style=style))
        except UsageError:
            return False
        return True

    async def warm_up(self) -> None:
        """Speak once, so that the first client does not wait for what is done only once."""
        try:
            ticket = self.scheduler.submit(Request(text=WARM_UP, streamed=True))
            async for _ in ticket:
                pass
        except CosyrtError as error:
            self.not_ready = f"warming up failed: {reason_of(error)}"
            log.error(self.not_ready)
            return
        self.not_ready = ""

    def drain(self) -> None:
        """Take no new work; what was admitted goes on."""
        self.admission.draining = True
        self.not_ready = "the service is being stopped"


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or WebSocket has come to."""
    service: Service = connection.app.state.service
    return service
