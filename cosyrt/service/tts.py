"""POST /api/tts: a text is spoken with the voice that its account has chosen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cosyrt.service.access import caller_of
from cosyrt.service.bodies import described, parsed
from cosyrt.service.keys import Scope
from cosyrt.service.speech import prepared
from cosyrt.service.state import service_of
from cosyrt.service.wire import MAX_NAME, SpeechBody

router = APIRouter(prefix="/api", tags=["speaker"])


class Said(BaseModel):
    """A text to be spoken by the caller's current voice, or by another one."""

    model_config = ConfigDict(extra="ignore")
    text: Annotated[str, Field(min_length=1)]
    speaker: Annotated[str, Field(max_length=MAX_NAME)] = ""
    stream: bool = False
    format: str = "wav"


@router.post("/tts", openapi_extra=described(Said), response_class=Response)
async def say(http: Request) -> Response:
    """Speak with the current voice: a whole wav, or with `stream` one that is sent while it is made."""
    caller = caller_of(http.scope)
    caller.require(Scope.SPEECH)
    said = await parsed(http, Said)
    body = SpeechBody.model_validate(
        {"input": said.text, "voice": said.speaker, "stream": said.stream, "response_format": said.format}
    )
    return (await prepared(service_of(http), caller, body)).response()
