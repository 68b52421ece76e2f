"""The plan by which the model is run: what is used, what has failed, and the way back to plain PyTorch."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cosyrt.accel import guard
from cosyrt.service.access import caller_of
from cosyrt.service.keys import Scope
from cosyrt.service.state import Service, service_of

router = APIRouter(prefix="/admin/plan", tags=["admin"])


@router.get("")
async def read_plan(http: Request) -> dict[str, Any]:
    """The backend of each part, whether it is used, and what has happened to the parts."""
    caller_of(http.scope).require(Scope.ADMIN)
    return _shown(service_of(http))


@router.post("/rollback")
async def roll_back(http: Request) -> dict[str, Any]:
    """Run every part plainly until the service is started again; speech that is under way goes on."""
    caller_of(http.scope).require(Scope.ADMIN)
    service = service_of(http)
    plan = service.plan
    changed = [] if plan is None else guard.roll_back(plan.made_for["model"], plan.parts)
    return {"rolled_back": changed, **_shown(service)}


def _shown(service: Service) -> dict[str, Any]:
    if service.plan is None:
        return {"parts": [], "events": []}
    model = service.plan.made_for["model"]
    parts = [
        {
            "part": part,
            "backend": planned.backend,
            "speedup": planned.speedup,
            "used": not guard.disabled(model, part),
        }
        for part, planned in service.plan.parts.items()
    ]
    events = [
        {"part": event.part, "backend": event.backend, "kind": event.kind, "count": count}
        for event, count in guard.events.items()
        if event.model == model
    ]
    return {"parts": parts, "events": events}
