"""POST /v1/audio/speech: one text in, its audio out, in the form that the client asks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from cosyrt.audio import Audio
from cosyrt.engine.request import Request as SpeechRequest
from cosyrt.engine.request import SpeakingStyle
from cosyrt.service.access import caller_of
from cosyrt.service.bodies import described, parsed
from cosyrt.service.callers import Caller
from cosyrt.service.captions import file_of
from cosyrt.service.delivery import StreamedResponse
from cosyrt.service.errors import BadRequest, NotFound
from cosyrt.service.figures import Figures
from cosyrt.service.keys import Scope
from cosyrt.service.output import Output, as_events, encoded, whole
from cosyrt.service.references import recording_in, reference_voice
from cosyrt.service.speaking import speak
from cosyrt.service.state import Service, service_of
from cosyrt.service.wire import CAPTION_TYPES, OPENAI_MODELS, SpeechBody
from cosyrt.voice.voice import Voice

router = APIRouter(tags=["speech"])


@router.post(
    "/v1/audio/speech",
    openapi_extra=described(SpeechBody, "application/json", "multipart/form-data"),
    response_class=Response,
)
async def create_speech(http: Request) -> Response:
    """Speak a text. The audio is sent while it is made; errors come before its first byte."""
    caller = caller_of(http.scope)
    caller.require(Scope.SPEECH)
    body, recording = await read_body(http)
    job = await prepared(service_of(http), caller, body, recording)
    return job.response()


async def read_body(http: Request) -> tuple[SpeechBody, bytes | None]:
    """The fields of a request, and the reference recording in it.

    Raises:
        ValidationError: a field that cannot be used.
    """
    if not http.headers.get("content-type", "").startswith("multipart/"):
        body, recording = await parsed(http, SpeechBody), None
    else:
        async with http.form(max_files=1, max_fields=32) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            file = form.get("ref_audio")
            recording = await file.read() if isinstance(file, UploadFile) else None
        body = SpeechBody.model_validate(fields)
    return body, recording_of(body) if recording is None else recording


def recording_of(body: SpeechBody) -> bytes | None:
    """The reference recording in the fields of a request.

    Raises:
        BadRequest: it is no data URI.
    """
    return None if body.ref_audio is None else recording_in(body.ref_audio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request that was found good: what is spoken, for whom, and how it is sent."""

    service: Service
    caller: Caller
    body: SpeechBody
    request: SpeechRequest
    output: Output
    figures: Figures
    ignored: tuple[str, ...] = ()  # fields that this model cannot follow

    def audio(self) -> AsyncGenerator[Audio, None]:
        """The audio as it is made."""
        return speak(self.service, self.caller, self.request, self.figures)

    def response(self) -> Response:
        """The response in the form that was asked for."""
        body = self.body
        if body.response_format in CAPTION_TYPES:
            parts = self._captions()
            return StreamedResponse(
                parts, media_type=CAPTION_TYPES[body.response_format], headers=self.headers
            )
        parts = (encoded if body.stream else whole)(self.audio(), self.output)
        if body.stream_format == "sse":
            events = as_events(parts, self.usage)
            return StreamedResponse(events, media_type="text/event-stream", headers=self.headers)
        return StreamedResponse(parts, media_type=self.output.media_type, headers=self.headers)

    async def _captions(self) -> AsyncGenerator[bytes, None]:
        """A file of captions in one part, once all was spoken."""
        async with aclosing(self.audio()) as audio:
            async for _ in audio:
                pass
        yield file_of(self.figures.pieces, self.body.response_format)

    def headers(self) -> Mapping[str, str]:
        """Headers of the response, when its first part is there."""
        ignored = {"X-Ignored-Fields": ", ".join(self.ignored)} if self.ignored else {}
        is_audio = self.body.response_format not in CAPTION_TYPES
        return {
            **(self.output.headers() if is_audio else self.output.label.headers),
            **self.figures.headers(),
            **ignored,
            "X-Model": self.service.model,
        }

    def usage(self) -> dict[str, int]:
        """Tokens as OpenAI counts them: of the text, and of its speech."""
        frontend = self.service.frontend
        told = frontend.tokenizer.count(self.body.input)
        spoken = round(self.figures.audio_s * frontend.model.settings.rates.token_hz)
        return {"input_tokens": told, "output_tokens": spoken, "total_tokens": told + spoken}


async def prepared(service: Service, caller: Caller, body: SpeechBody, recording: bytes | None = None) -> Job:
    """Check a request and choose its voice.

    Raises:
        BadRequest: a text that is too long. NotFound: a model that is not served here.
        CosyrtError: the voice or the recording cannot be used.
    """
    check_model(service, body.model)
    check_text(service, body.input)
    service.admission.refuse_when_draining()
    voice = await voice_of(service, caller, body, body.input, recording)
    output = output_of(service, body)
    return Job(
        service=service,
        caller=caller,
        body=body,
        request=request_of(service, body, body.input, voice),
        output=output,
        figures=Figures(format=output.format, produce_id=output.label.produce_id),
        ignored=ignored_of(service, body),
    )


async def voice_of(
    service: Service, caller: Caller, body: SpeechBody, text: str, recording: bytes | None = None
) -> Voice:
    """The voice of a request: that of a recording, the one that it names, or one that fits its text.

    Raises:
        CosyrtError: the voice or the recording cannot be used.
    """
    if recording is not None:
        return await reference_voice(service, recording, body.ref_text)
    return await service.catalogue.voice(caller, body.voice_name, text, body.language)


def request_of(service: Service, body: SpeechBody, text: str, voice: Voice) -> SpeechRequest:
    """What the scheduler is asked for; instructions are left out where the model follows none."""
    return SpeechRequest(
        text=text,
        voice=voice,
        style=SpeakingStyle(instruction=body.instructions if service.follows_instructions else None),
        speed=body.speed,
        seed=body.seed,
        streamed=body.stream and body.response_format not in CAPTION_TYPES,
    )


def ignored_of(service: Service, body: SpeechBody) -> tuple[str, ...]:
    """The fields that were sent and that this model cannot follow."""
    return ("instructions",) if body.instructions and not service.follows_instructions else ()


def output_of(service: Service, body: SpeechBody) -> Output:
    """The form of the audio; what it is sent as is settled before anything is spoken."""
    return Output(
        format=body.response_format,
        in_hz=service.frontend.sample_rate,
        sample_rate=body.sample_rate,
        label=service.labels.label(),
    )


def check_model(service: Service, name: str) -> None:
    """Refuse a model of another name, if the settings say so.

    Raises:
        NotFound: it is not served here.
    """
    known = {"", service.model, *OPENAI_MODELS}
    if name not in known and not service.settings.other_models:
        raise NotFound(
            f"the model {name[:80]!r} is not served here; ask for {service.model!r}",
            param="model",
            code="model_not_found",
        )


def check_text(service: Service, text: str) -> None:
    """Refuse a text that is too long.

    Raises:
        BadRequest: it is.
    """
    most = service.settings.max_text
    if len(text) > most:
        raise BadRequest(
            f"the text has {len(text)} characters, more than {most}; send it in parts",
            param="input",
            code="string_above_max_length",
        )
