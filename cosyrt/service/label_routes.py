"""POST /v1/audio/label-check: whether a file says of itself that its speech is synthetic, whoever made it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile

from cosyrt.errors import AudioError
from cosyrt.service.access import caller_of
from cosyrt.service.decoding import label_in
from cosyrt.service.errors import BadRequest
from cosyrt.service.keys import Scope
from cosyrt.service.state import service_of
from cosyrt.service.uploads import read_upload

router = APIRouter(tags=["labels"])


@router.post("/v1/audio/label-check")
async def check_label(
    http: Request, file: Annotated[UploadFile, File(description="WAV, FLAC, Ogg, MP3, AAC, WebM or MP4.")]
) -> dict[str, Any]:
    """Read the label of a file: AIGC metadata, as GB 45438-2025 names it.

    A file without a label may be synthetic all the same: metadata is lost wherever a recording is converted.
    """
    caller_of(http.scope).require(Scope.SPEECH)
    recording = await read_upload(file, "file")
    async with service_of(http).encoding:
        try:
            found = await asyncio.to_thread(label_in, recording)
        except AudioError as error:
            raise BadRequest(str(error), param="file", code="invalid_audio") from error
    return {"object": "audio.label", **found}
