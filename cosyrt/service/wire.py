"""What other programs send and what they are answered: the shapes of OpenAI's audio API, and our own.

Names and shapes are OpenAI's where there are any (`/v1/audio/speech`); further fields have the names that
other servers gave them. Unknown fields are accepted, as clients send many.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cosyrt.errors import (
    AudioError,
    Busy,
    CosyrtError,
    DeadlineError,
    ReplicaLost,
    TextError,
    UsageError,
    VoiceError,
    VoiceNotFound,
    one_line,
)
from cosyrt.ranges import SPEED
from cosyrt.service.errors import BadRequest, NotFound, Overloaded, ServiceError, TooLate

AGAIN_S = 1.0  # before a client whose replica was lost asks again
MAX_NAME = 256  # characters of the name of a voice or a model
MAX_INSTRUCTIONS = 4_000
OPENAI_VOICES = (
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()
)  # clients offer these and some refuse any other
OPENAI_MODELS = "tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"
OUTPUT_FORMATS = "mp3", "opus", "aac", "flac", "wav", "pcm"
CAPTION_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt", "json": "application/json"}


class VoiceId(BaseModel):
    """A voice given as an object, as OpenAI's client does for voices of one's own."""

    model_config = ConfigDict(extra="ignore")
    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


def _no_instructions(value: object) -> object:
    """None for what clients send when nobody has set instructions; Home Assistant sends the text "None"."""
    return None if value in ("", "None", "null") else value


class SpeechBody(BaseModel):
    """One request for speech."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"model": "tts-1", "input": "Hello from your own machine.", "voice": "alloy"},
                {"input": "你好！", "response_format": "wav", "speed": 1.1, "seed": 7},
            ]
        },
    )

    input: Annotated[str, Field(min_length=1, description="The text to speak.")]
    model: Annotated[str, Field(max_length=MAX_NAME)] = ""
    voice: Annotated[str, Field(max_length=MAX_NAME)] | VoiceId | None = None
    instructions: Annotated[
        Annotated[str, Field(max_length=MAX_INSTRUCTIONS)] | None, BeforeValidator(_no_instructions)
    ] = Field(
        default=None, description="How to speak. A model that follows none ignores it, and a header says so."
    )
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "srt", "vtt", "json"] = Field(
        default="mp3",
        description="pcm is 24 kHz, 16 bits, mono, without a header. srt, vtt and json are captions.",
    )
    speed: Annotated[float, Field(ge=SPEED.least, le=SPEED.most)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool = Field(default=True, description="Send audio while it is made; else all of it at once.")
    seed: Annotated[int, Field(ge=0, lt=2**64)] = Field(
        default=0, description="The same seed gives the same speech."
    )
    language: Annotated[str, Field(max_length=35)] | None = Field(
        default=None, description="Chooses the voice where none is named: zh, en, ja, ko …"
    )
    sample_rate: Annotated[int, Field(ge=8_000, le=48_000)] | None = Field(
        default=None, description="Samples a second. pcm has 24000 where none is given."
    )
    ref_audio: str | None = Field(
        default=None, description="Speak like this recording: a data URI (base64), or a file of a form."
    )
    ref_text: Annotated[str, Field(max_length=MAX_INSTRUCTIONS)] = Field(
        default="", description="What is said in the recording."
    )

    @property
    def voice_name(self) -> str:
        """The voice that is asked for, or nothing."""
        return self.voice.id if isinstance(self.voice, VoiceId) else (self.voice or "").strip()


def error_body(error: ServiceError) -> dict[str, Any]:
    """The error as clients of OpenAI's API read it."""
    return {"error": {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}}


def error_headers(error: ServiceError) -> dict[str, str]:
    """Headers that say when to come back, or that it is no use to."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
        headers["retry-after-ms"] = str(max(1, round(error.retry_after_s * 1000)))
    elif error.status in (500, 504):
        headers["x-should-retry"] = "false"  # the work would be done again, and most likely in vain
    return headers


def answer_to(error: CosyrtError) -> ServiceError:
    """The refusal that a client is told of when the engine refused or could not fulfil its request."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, Busy):
        return Overloaded(str(error), retry_after_s=error.retry_after_s)
    if isinstance(error, ReplicaLost):
        return Overloaded(str(error), code="replica_lost", retry_after_s=AGAIN_S)
    if isinstance(error, DeadlineError):
        return TooLate(str(error))
    if isinstance(error, VoiceNotFound):
        return NotFound(str(error), param="voice", code="voice_not_found")
    for kind, param, code in (
        (TextError, "input", "invalid_text"),
        (VoiceError, "voice", "invalid_voice"),
        (AudioError, "ref_audio", "invalid_audio"),
        (UsageError, None, "invalid_value"),
    ):
        if isinstance(error, kind):
            return BadRequest(str(error), param=param, code=code)
    return ServiceError(str(error), code="speech_failed")


def answer_to_fields(error: ValidationError) -> BadRequest:
    """The refusal of a body with a field that cannot be used: the first of them is named."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = next((str(part) for part in first["loc"] if isinstance(part, str)), None)
    what = f"{name}: {first['msg']}" if name else first["msg"]
    return BadRequest(one_line(what, 300), param=name, code="invalid_value")
