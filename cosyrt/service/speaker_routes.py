"""The current voice of an account, for programs that choose a speaker once and then only send text."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from cosyrt.service.access import caller_of
from cosyrt.service.keys import Scope
from cosyrt.service.state import service_of

router = APIRouter(prefix="/api", tags=["speaker"])


class Speaker(BaseModel):
    """The voice that is chosen, by its id or name; none: the service chooses by the language of each text."""

    model_config = ConfigDict(extra="ignore")
    speaker: Annotated[str, Field(min_length=1, max_length=256)] | None


@router.get("/speakers")
async def list_speakers(http: Request) -> dict[str, Any]:
    """The voices that the caller may choose, and the one that is chosen."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.SPEECH)
    voices = await service.catalogue.listed(caller)
    return {
        "speakers": [voice.entry() for voice in voices],
        "current": await service.voices.current(caller),
    }


@router.get("/speaker")
async def read_speaker(http: Request) -> dict[str, Any]:
    """The voice that the caller speaks with where a request names none."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.SPEECH)
    return {"speaker": await service.voices.current(caller)}


@router.put("/speaker")
async def choose_speaker(http: Request, body: Speaker) -> dict[str, Any]:
    """Choose the voice that the caller speaks with from now on."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.SPEECH)
    presets = service.frontend.voices
    chosen = await service.store.change(service.voices.choose, caller, body.speaker, presets)
    return {"speaker": chosen}
