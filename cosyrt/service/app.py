"""The application: what stands before every route, and the routes. Read this first.

    RequestLog → BodyLimit → Gate → routes
    an id, a log line   size    who is it   speech, lists, health …

Each layer is plain ASGI: a framework's middleware would hide from the routes that a client has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import cosyrt
from cosyrt.service import (
    account_routes,
    consent_routes,
    docs_page,
    health,
    key_routes,
    label_routes,
    lists,
    page,
    plan_routes,
    realtime,
    speaker_routes,
    speech,
    stream_socket,
    tts,
    voice_routes,
)
from cosyrt.service.access import Gate, words
from cosyrt.service.examples import complete
from cosyrt.service.limits import BodyLimit
from cosyrt.service.refusals import answer_errors
from cosyrt.service.request_log import RequestLog
from cosyrt.service.state import Service

ROUTERS = (
    speech,
    stream_socket,
    realtime,
    tts,
    speaker_routes,
    voice_routes,
    consent_routes,
    key_routes,
    account_routes,
    label_routes,
    lists,
    health,
    docs_page,
    plan_routes,
    page,
)
EXPOSED = (
    "X-Request-Id",
    "X-AIGC",
    "X-Audio-Sample-Rate",
    "X-Ignored-Fields",
    "Server-Timing",
    "Retry-After",
)
ABOUT = """Text to speech with OpenAI's API, and more. Send `Authorization: Bearer cv_…` where keys are on."""


def routes(service: Service) -> FastAPI:
    """All routes, without what stands before them."""
    app = FastAPI(
        title="cosyrt",
        version=cosyrt.__version__,
        description=ABOUT,
        lifespan=_warm,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect is made of the Host header, which anybody writes
    )
    app.state.service = service
    answer_errors(app)
    for each in ROUTERS:
        app.include_router(each.router)
    plain = app.openapi  # makes the document once and keeps it
    app.openapi = lambda: complete(plain())  # type: ignore[method-assign]
    return app


def create_app(service: Service) -> ASGIApp:
    """The application that a server runs."""
    app: ASGIApp = routes(service)
    app = Gate(app, service.accounts, service.settings, page.paths())
    app = BodyLimit(app, service.settings)
    if origins := words(service.settings.origins):
        app = CORSMiddleware(
            app, sorted(origins), ["GET", "POST", "PUT", "DELETE"], ["*"], expose_headers=EXPOSED
        )
    return RequestLog(app, service.metrics)


@asynccontextmanager
async def _warm(app: FastAPI) -> AsyncIterator[None]:
    """Warm the model up while the first requests may come in already."""
    service: Service = app.state.service
    warming = asyncio.create_task(service.warm_up())
    try:
        yield
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
