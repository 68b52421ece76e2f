"""What machines ask every few seconds: whether the service lives, whether it is warm, and its figures."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

import cosyrt
from cosyrt.service.state import service_of

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok", "version": cosyrt.__version__}


@router.head("/ready", include_in_schema=False)
@router.get("/ready")
async def ready(http: Request) -> Response:
    """Requests are answered at full speed: 200; else 503 and the reason."""
    service = service_of(http)
    load, problem = service.scheduler.load(), service.problem
    state: dict[str, Any] = {
        "ready": not problem,
        "reason": problem,
        "model": service.model,
        "device": service.frontend.device,
        "plan": service.backends,
        "rolled_back": service.rolled_back,
        "active": load.active,
        "queued": load.queued,
        "database": service.database or "ok",
    }
    return JSONResponse(state, 503 if problem else 200)


@router.get("/metrics", response_class=Response)
async def metrics(http: Request) -> Response:
    """Figures for Prometheus."""
    page = await asyncio.to_thread(service_of(http).metrics.page)
    return Response(page, media_type=CONTENT_TYPE_LATEST)
