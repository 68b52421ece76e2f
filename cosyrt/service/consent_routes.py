"""Consents over HTTP, in OpenAI's shapes: record a speaker's agreement, list, rename, revoke it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from cosyrt.errors import AudioError
from cosyrt.service.access import caller_of
from cosyrt.service.consents import LISTED, MAX_LISTED, MAX_STATEMENT, ConsentFacts, NewConsent
from cosyrt.service.decoding import decode
from cosyrt.service.errors import BadRequest
from cosyrt.service.idempotency import GivenKey
from cosyrt.service.keys import Scope
from cosyrt.service.state import service_of
from cosyrt.service.tasks import forget_gone_voices
from cosyrt.service.uploads import media_type_of, read_upload

router = APIRouter(prefix="/v1/audio/voice_consents", tags=["consents"])

LONGEST_S = 60.0  # of a recorded agreement
OBJECT = "audio.voice_consent"


class NewName(BaseModel):
    """Another label for a consent."""

    model_config = ConfigDict(extra="ignore")
    name: Annotated[str, Field(max_length=256)]


@router.post("")
async def create_consent(
    http: Request,
    name: Annotated[str, Form(max_length=256)],
    language: Annotated[str, Form(max_length=35, description="A tag such as en-US.")],
    recording: Annotated[UploadFile, File(description="The speaker says that they agree.")],
    statement: Annotated[str, Form(max_length=MAX_STATEMENT, description="The words agreed to.")] = "",
    expires_at: Annotated[
        int | None, Form(ge=0, lt=1 << 53, description="Seconds since 1970; then the voice is gone.")
    ] = None,
    idempotency_key: GivenKey = None,
) -> dict[str, Any]:
    """Keep the recording in which a speaker agrees that a voice is made of their speech."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    data = await read_upload(recording, "recording")
    given = NewConsent(
        name=name,
        language=language,
        recording=data,
        media_type=media_type_of(data) or "",
        statement=statement,
        expires_at=expires_at,
    )
    fields = name, language, statement, repr(expires_at)
    attempt = service.idempotency.attempt(caller, idempotency_key, "consent", *fields, data)

    async def make() -> dict[str, Any]:
        async with service.encoding:
            await asyncio.to_thread(_check_sound, data)
        return _entry(await service.store.change(service.consents.add, caller, given, also=attempt.note))

    return await service.idempotency.once(attempt, make, lambda made: retrieve_consent(http, made))


@router.get("")
async def list_consents(
    http: Request,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = LISTED,
) -> dict[str, Any]:
    """The caller's consents, newest first, a page at a time."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    found, more = await service.store.run(service.consents.listed, caller, after=after, limit=limit)
    entries = [_entry(each) for each in found]
    ends = {"first_id": entries[0]["id"], "last_id": entries[-1]["id"]} if entries else {}
    return {"object": "list", "data": entries, "has_more": more, **ends}


@router.get("/{identifier}")
async def retrieve_consent(http: Request, identifier: str) -> dict[str, Any]:
    """One consent of the caller's."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    return _entry(await service.store.run(service.consents.get, caller, identifier))


@router.post("/{identifier}")
async def update_consent(http: Request, identifier: str, body: NewName) -> dict[str, Any]:
    """Give a consent another label."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    return _entry(await service.store.change(service.consents.rename, caller, identifier, body.name))


@router.delete("/{identifier}")
async def delete_consent(http: Request, identifier: str) -> dict[str, Any]:
    """Revoke a consent: its recording is deleted, and the voices that stand on it are gone."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    await service.store.change(service.consents.revoke, caller, identifier)
    await service.store.run(forget_gone_voices, service)
    return {"id": identifier, "object": OBJECT, "deleted": True}


def _check_sound(recording: bytes) -> None:
    """Refuse what nobody could listen to later.

    Raises:
        BadRequest: it cannot be decoded, or is too long.
    """
    try:
        decode(recording, LONGEST_S)
    except AudioError as error:
        raise BadRequest(str(error), param="recording", code="invalid_audio") from error


def _entry(facts: ConsentFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "object": OBJECT,
        "created_at": facts.created_at,
        "language": facts.language,
        "name": facts.name,
        "statement": facts.statement,
        "expires_at": facts.expires_at,
    }
