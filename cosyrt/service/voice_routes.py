"""Voices over HTTP, in OpenAI's shapes: make one of a recording, look at it, delete it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile

from cosyrt.errors import AudioError
from cosyrt.service.access import caller_of
from cosyrt.service.callers import Caller
from cosyrt.service.catalogue import stored_fields
from cosyrt.service.errors import BadRequest, Conflict
from cosyrt.service.idempotency import GivenKey
from cosyrt.service.keys import Scope
from cosyrt.service.references import reference_voice
from cosyrt.service.state import Service, service_of
from cosyrt.service.tasks import forget_gone_voices
from cosyrt.service.uploads import read_upload
from cosyrt.service.voice_rows import VoiceFacts
from cosyrt.voice.voice import MAX_TEXT_CHARACTERS, Voice

router = APIRouter(tags=["voices"])

Text = Annotated[str, Form(max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[str, Form(max_length=256)]


@router.post("/v1/audio/voices")
async def create_voice(
    http: Request,
    name: Name,
    audio_sample: Annotated[UploadFile | None, File(description="1 to 30 s of speech.")] = None,
    consent: Annotated[str, Form(max_length=64, description="The id of the speaker's consent.")] = "",
    ref_text: Annotated[
        str, Form(max_length=MAX_TEXT_CHARACTERS, description="What is said in the recording.")
    ] = "",
    speaker_description: Annotated[str, Form(max_length=500)] = "",
    license: Text = "",
    shared: Annotated[bool, Form(description="With every account; an admin's key may do this.")] = False,
    type: Annotated[str, Form(max_length=40)] = "audio_sample",
    idempotency_key: GivenKey = None,
) -> dict[str, Any]:
    """Make a voice of a recording and keep it under a name; it can be spoken with at once."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    if type != "audio_sample" or audio_sample is None:
        raise _no_sample(type)
    recording = await read_upload(audio_sample, "audio_sample")
    fields = name, consent, ref_text, speaker_description, license, repr(shared)
    attempt = service.idempotency.attempt(caller, idempotency_key, "voice", *fields, recording)

    async def make() -> dict[str, Any]:
        await _check(service, caller, name, consent)
        voice = await _encoded(service, recording, ref_text, name, license, consent)
        facts = await service.store.change(
            service.voices.add,
            caller,
            voice,
            consent_id=consent or None,
            description=speaker_description,
            shared=shared,
            also=attempt.note,
        )
        return _entry(facts)

    async def find(made: str) -> dict[str, Any]:
        return _entry(await service.voices.facts(caller, made))

    return await service.idempotency.once(attempt, make, find)


@router.get("/v1/audio/voices/{identifier}")
async def retrieve_voice(http: Request, identifier: str) -> dict[str, Any]:
    """One stored voice that the caller may speak with."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.SPEECH)
    return _entry(await service.voices.facts(caller, identifier))


@router.delete("/v1/audio/voices/{identifier}")
async def delete_voice(http: Request, identifier: str) -> dict[str, Any]:
    """Delete a stored voice of the caller's; nobody can speak with it any more."""
    caller, service = caller_of(http.scope), service_of(http)
    caller.require(Scope.VOICES)
    await service.store.change(service.voices.remove, caller, identifier)
    await service.store.run(forget_gone_voices, service)
    return {"id": identifier, "object": "audio.voice.deleted", "deleted": True}


async def _check(service: Service, caller: Caller, name: str, consent: str) -> None:
    """Refuse what can be refused before a recording is decoded and encoded."""
    name = await service.store.run(service.voices.check_free, caller, name)
    if name in service.frontend.voices:
        raise Conflict(f"the model has a voice {name!r} of its own; choose another name", param="name")
    if consent:
        await service.store.run(service.consents.get, caller, consent)
    elif service.settings.require_consent:
        raise BadRequest(
            "a voice needs its speaker's consent; send their recorded agreement to "
            "/v1/audio/voice_consents and give its id as consent (or set require_consent to false)",
            param="consent",
            code="consent_required",
        )


async def _encoded(
    service: Service, recording: bytes, text: str, name: str, license: str, consent: str
) -> Voice:
    try:
        return await reference_voice(service, recording, text, name=name, license=license, consent=consent)
    except AudioError as error:
        raise BadRequest(str(error), param="audio_sample", code="invalid_audio") from error


def _no_sample(type: str) -> BadRequest:
    if type == "audio_sample":
        return BadRequest("a voice is made of a recording; send it as audio_sample", param="audio_sample")
    return BadRequest(
        "voices are made of recordings here, not of prompts; send type audio_sample and the recording",
        param="type",
        code="unsupported_value",
    )


def _entry(facts: VoiceFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "object": "audio.voice",
        "name": facts.name,
        "language": facts.language,
        "shared": facts.shared,
        **stored_fields(facts),
    }
