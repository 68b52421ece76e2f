"""Reference audio of a request → a voice: read from the request alone, decoded where it can do no harm.

A recording comes as a data URI or as the file of a form. An address or a path is refused: the service
fetches nothing and opens no file for a caller.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re

from cosyrt.service.decoding import decode
from cosyrt.service.errors import BadRequest
from cosyrt.service.state import Service
from cosyrt.voice.voice import Voice

_DATA_URI = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)


def recording_in(uri: str) -> bytes:
    """The bytes in a data URI.

    Raises:
        BadRequest: an address, a path, or no base64.
    """
    header = _DATA_URI.match(uri)
    if header is None:
        raise BadRequest(
            "ref_audio is no data URI; give data:audio/wav;base64,… or send the file in a form",
            param="ref_audio",
            code="invalid_audio",
        )
    try:
        return base64.b64decode(uri[header.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("ref_audio is no base64; encode it again", param="ref_audio") from error


async def reference_voice(
    service: Service,
    recording: bytes,
    text: str,
    *,
    name: str = "reference",
    license: str = "",
    consent: str = "",
) -> Voice:
    """A voice that speaks like a recording; one is encoded at a time.

    Raises:
        AudioError: the recording cannot be read, or is unfit.
    """
    async with service.encoding:
        audio = await asyncio.to_thread(decode, recording, service.settings.max_reference_s)
        return await asyncio.to_thread(
            service.frontend.voice_from, audio, text, name, license=license, consent=consent
        )
