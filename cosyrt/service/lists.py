"""The lists that programs read before they speak: models and voices, in the shapes that they want."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cosyrt.ranges import SPEED
from cosyrt.service.access import caller_of
from cosyrt.service.errors import NotFound
from cosyrt.service.state import Service, service_of
from cosyrt.service.wire import CAPTION_TYPES, OPENAI_MODELS, OUTPUT_FORMATS

router = APIRouter(tags=["lists"])


def _models(service: Service) -> list[dict[str, Any]]:
    """This model, and OpenAI's names that it answers to."""
    names = (service.model, *OPENAI_MODELS)
    return [
        {"id": name, "object": "model", "created": service.created, "owned_by": "cosyrt"} for name in names
    ]


@router.get("/v1/models")
async def list_models(http: Request) -> dict[str, Any]:
    """The model that is served, and the names of OpenAI's that stand for it."""
    return {"object": "list", "data": _models(service_of(http))}


@router.get("/v1/models/{model}")
async def retrieve_model(http: Request, model: str) -> dict[str, Any]:
    """One model of the list, with what it can do."""
    service = service_of(http)
    for entry in _models(service):
        if entry["id"] == model:
            voices = await service.catalogue.listed(caller_of(http.scope))
            return {
                **entry,
                "task": "text-to-speech",
                "sample_rate": service.frontend.sample_rate,
                "voices": [voice.entry() for voice in voices],
            }
    raise NotFound(f"there is no model {model[:80]!r}; see /v1/models", param="model", code="model_not_found")


@router.get("/v1/capabilities")
async def capabilities(http: Request) -> dict[str, Any]:
    """What this service can do, and its limits."""
    service = service_of(http)
    settings = service.settings
    return {
        "model": service.model,
        "family": service.frontend.family,
        "sample_rate": service.frontend.sample_rate,
        "follows_instructions": service.follows_instructions,
        "formats": [*OUTPUT_FORMATS, *CAPTION_TYPES],
        "speed": {"min": SPEED.least, "max": SPEED.most},
        "max_text_characters": settings.max_text,
        "max_upload_bytes": settings.max_upload,
        "max_reference_seconds": settings.max_reference_s,
        "sockets": ["/v1/audio/speech/stream", "/v1/realtime"],
    }


@router.get("/v1/audio/models")
async def list_audio_models(http: Request) -> dict[str, Any]:
    """The models as Open WebUI asks for them."""
    return {"models": [{"id": entry["id"]} for entry in _models(service_of(http))]}


@router.get("/v1/audio/voices")
async def list_voices(http: Request, legacy: bool = False) -> dict[str, Any]:
    """The voices that the caller may use, as `data` and as `voices`; `legacy` gives their names alone."""
    voices = await service_of(http).catalogue.listed(caller_of(http.scope))
    entries: list[Any] = [voice.name if legacy else voice.entry() for voice in voices]
    return {"object": "list", "data": entries, "voices": entries, "has_more": False}
