"""Examples in `/openapi.json`: what each route takes and answers, as one real exchange would look.

FastAPI describes an error of its own for wrong fields (422); what this service answers is OpenAI's error, in
every case, and that is what the document says after `complete`.
"""

from __future__ import annotations

from typing import Any

from cosyrt.formats import format_named
from cosyrt.service.wire import CAPTION_TYPES, OUTPUT_FORMATS

VOICE: dict[str, Any] = {
    "id": "voice_9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "object": "audio.voice",
    "name": "ann",
    "language": "en",
    "shared": False,
    "created_at": 1_796_000_000,
    "type": "audio_sample",
    "description": "",
    "consent": "cons_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "expires_at": None,
}
LISTED = {**{name: VOICE[name] for name in VOICE if name != "shared"}, "kind": "own"}
PRESET = {"id": "tom", "object": "audio.voice", "name": "tom", "kind": "model", "language": "en"}
CONSENT: dict[str, Any] = {
    "id": VOICE["consent"],
    "object": "audio.voice_consent",
    "created_at": 1_796_000_000,
    "language": "en-US",
    "name": "Ann",
    "statement": "I agree that a voice is made of my recording.",
    "expires_at": None,
}
KEY: dict[str, Any] = {
    "id": "k7w2mz9dqa",
    "name": "Open WebUI",
    "account": "ann",
    "scopes": ["speech", "voices"],
    "created_at": 1_796_000_000,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": 1_796_000_060,
    "object": "api_key",
    "state": "active",
}
ACCOUNT = {
    "id": "acct_0123456789abcdef0123456789abcdef",
    "name": "ann",
    "created_at": 1_796_000_000,
    "keys": 1,
    "voices": 2,
    "consents": 2,
    "object": "account",
}
MODEL = {"id": "builtin", "object": "model", "created": 1_796_000_000, "owned_by": "cosyrt"}
PLAN = {
    "parts": [{"part": "llm", "backend": "openvino-int8", "speedup": 2.6, "used": True}],
    "events": [{"part": "velocity", "backend": "openvino", "kind": "slow", "count": 1}],
}
ERROR = {
    "error": {
        "message": "speed: Input should be less than or equal to 4",
        "type": "invalid_request_error",
        "param": "speed",
        "code": "invalid_value",
    }
}

TAKEN: dict[str, dict[str, Any]] = {
    "POST /api/tts": {"text": "Hello from your own machine.", "speaker": "tom", "stream": True},
    "PUT /api/speaker": {"speaker": "ann"},
    "POST /v1/audio/voices": {
        "name": "ann",
        "consent": CONSENT["id"],
        "audio_sample": "@ann.wav",
        "ref_text": "What is said in the recording.",
    },
    "POST /v1/audio/voice_consents": {
        "name": "Ann",
        "language": "en-US",
        "recording": "@agreement.wav",
        "statement": CONSENT["statement"],
    },
    "POST /v1/audio/voice_consents/{identifier}": {"name": "Ann, 2027"},
    "POST /v1/audio/label-check": {"file": "@speech.mp3"},
}
ANSWERED: dict[str, dict[str, Any]] = {
    "GET /api/speakers": {"speakers": [PRESET, LISTED], "current": VOICE["id"]},
    "GET /api/speaker": {"speaker": VOICE["id"]},
    "PUT /api/speaker": {"speaker": VOICE["id"]},
    "POST /v1/audio/voices": VOICE,
    "GET /v1/audio/voices": {
        "object": "list",
        "data": [PRESET, LISTED],
        "voices": [PRESET, LISTED],
        "has_more": False,
    },
    "GET /v1/audio/voices/{identifier}": VOICE,
    "DELETE /v1/audio/voices/{identifier}": {
        "id": VOICE["id"],
        "object": "audio.voice.deleted",
        "deleted": True,
    },
    "POST /v1/audio/voice_consents": CONSENT,
    "GET /v1/audio/voice_consents": {
        "object": "list",
        "data": [CONSENT],
        "has_more": False,
        "first_id": CONSENT["id"],
        "last_id": CONSENT["id"],
    },
    "GET /v1/audio/voice_consents/{identifier}": CONSENT,
    "POST /v1/audio/voice_consents/{identifier}": {**CONSENT, "name": "Ann, 2027"},
    "DELETE /v1/audio/voice_consents/{identifier}": {
        "id": CONSENT["id"],
        "object": "audio.voice_consent",
        "deleted": True,
    },
    "GET /admin/keys": {"object": "list", "data": [KEY], "has_more": False},
    "POST /admin/keys": {**KEY, "last_used_at": None, "key": "cv_k7w2mz9dqa_…"},
    "DELETE /admin/keys/{identifier}": {**KEY, "revoked_at": 1_796_000_120, "state": "revoked"},
    "GET /admin/accounts": {"object": "list", "data": [ACCOUNT], "has_more": False},
    "DELETE /admin/accounts/{name}": {**ACCOUNT, "object": "account.deleted", "deleted": True},
    "POST /v1/audio/label-check": {
        "object": "audio.label",
        "labelled": True,
        "container": "mp3",
        "fields": {"Label": "1", "ContentProducer": "cosyrt", "ProduceID": "4f1c…"},
        "comment": "",
        "credentials": None,
    },
    "GET /v1/models": {"object": "list", "data": [MODEL]},
    "GET /v1/models/{model}": {
        **MODEL,
        "task": "text-to-speech",
        "sample_rate": 24_000,
        "voices": [PRESET],
    },
    "GET /v1/capabilities": {
        "model": "builtin",
        "family": "cosyvoice2",
        "sample_rate": 24_000,
        "follows_instructions": False,
        "formats": ["mp3", "opus", "aac", "flac", "wav", "pcm", "srt", "vtt", "json"],
        "speed": {"min": 0.25, "max": 4.0},
        "max_text_characters": 4_096,
        "max_upload_bytes": 11_000_000,
        "max_reference_seconds": 30.0,
        "sockets": ["/v1/audio/speech/stream", "/v1/realtime"],
    },
    "GET /v1/audio/models": {"models": [{"id": "builtin"}]},
    "GET /health": {"status": "ok", "version": "0.2.0"},
    "GET /ready": {
        "ready": True,
        "reason": "",
        "model": "builtin",
        "device": "cpu",
        "plan": {"llm": "openvino-int8"},
        "rolled_back": [],
        "active": 1,
        "queued": 0,
        "database": "ok",
    },
    "GET /admin/plan": PLAN,
    "POST /admin/plan/rollback": {"rolled_back": ["llm"], **PLAN},
}
SPOKEN = "POST /v1/audio/speech", "POST /api/tts"
SOUND_TYPES = (*(format_named(each).media_type for each in OUTPUT_FORMATS), *CAPTION_TYPES.values())


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Put the examples, and the one shape of errors, into an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {
                    name: {"type": ["string", "null"]} for name in ("message", "type", "param", "code")
                },
            }
        },
    }
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            _complete(f"{method.upper()} {path}", route)
    return document


def _complete(name: str, route: dict[str, Any]) -> None:
    for content in route.get("requestBody", {}).get("content", {}).values():
        if name in TAKEN:
            content["example"] = TAKEN[name]
    answers = route["responses"]
    answers.pop("422", None)
    answers["default"] = {
        "description": "Refused or failed; Retry-After says when to come back, where that helps.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": ERROR}},
    }
    if name in SPOKEN:
        sound = {"schema": {"type": "string", "format": "binary"}}
        content = dict.fromkeys((*SOUND_TYPES, "text/event-stream"), sound)
        answers["200"] = {"description": "The speech, while it is made.", "content": content}
    elif name in ANSWERED:
        answers["200"]["content"]["application/json"]["example"] = ANSWERED[name]
