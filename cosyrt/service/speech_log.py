"""What is kept of each piece of speech: how it went, and under which label it left.

The label is written down before the first audio, the rest at the end. The text is kept only where the
operator wants it, else its length and SHA-256: enough to say later whether a recording was made here.
"""

from __future__ import annotations

import hashlib
from uuid import uuid4

from cosyrt.engine.request import Request
from cosyrt.errors import CosyrtError, reason_of
from cosyrt.service.audit import audit_row
from cosyrt.service.callers import Caller
from cosyrt.service.figures import Figures
from cosyrt.service.schema import RequestRow
from cosyrt.service.state import Service
from cosyrt.service.wire import answer_to
from cosyrt.voice.voice import Voice

LEFT = 499  # the status of a request whose client has left, as other servers write it
MAX_REASON = 200


def note_label(service: Service, caller: Caller, request: Request, figures: Figures) -> None:
    """Write down which label goes with whose speech, in which voice, of which text."""
    text = _text(request)
    voice = request.voice
    service.journal.write(
        audit_row(
            caller,
            service.store.now(),
            "speech.label",
            figures.produce_id,
            model=service.model,
            voice=_voice_name(request),
            voice_digest=voice.digest if isinstance(voice, Voice) else "",
            characters=len(text),
            text_sha256=hashlib.sha256(text.encode(errors="replace")).hexdigest(),
        )
    )


def note_request(
    service: Service, caller: Caller, request: Request, figures: Figures, error: BaseException | None
) -> None:
    """Write down how a request went."""
    settings = service.settings
    if not settings.log_requests:
        return
    text = _text(request)
    service.journal.write(
        RequestRow(
            id=uuid4().hex,
            at=service.store.now(),
            account_id=caller.account_id,
            key_id=caller.key_id,
            route=figures.route,
            model=service.model[:100],
            voice=_voice_name(request),
            format=figures.format,
            characters=len(text),
            text=text.replace("\0", "") if settings.log_text else None,
            status=_status(error),
            error=None if error is None else reason_of(error)[:MAX_REASON],
            first_audio_ms=None if figures.first_audio_s is None else round(1000 * figures.first_audio_s),
            audio_ms=round(1000 * figures.audio_s),
            total_ms=round(1000 * figures.took_s),
        )
    )


def _status(error: BaseException | None) -> int:
    if error is None:
        return 200
    return answer_to(error).status if isinstance(error, CosyrtError) else LEFT


def _text(request: Request) -> str:
    return request.text if isinstance(request.text, str) else ""


def _voice_name(request: Request) -> str:
    voice = request.voice
    return (voice.name if isinstance(voice, Voice) else voice or "")[:64]
