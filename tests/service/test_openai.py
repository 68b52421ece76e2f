"""The real openai package against a real server: what most programs are built on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import av
import openai
import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.accounts import Accounts
from tests.service.forms import recording
from tests.service.served import Served, serving


@pytest.fixture(scope="module")
def keyed(tiny: Pipeline) -> Iterator[tuple[Served, str]]:
    """A service with a key, and the key."""
    with serving(tiny) as served:
        accounts = served.service.accounts
        assert isinstance(accounts, Accounts)
        yield served, accounts.add_key("ann")[1]


@pytest.fixture
def client(keyed: tuple[Served, str]) -> Iterator[openai.OpenAI]:
    """The client that a program makes."""
    served, key = keyed
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0) as each:
        yield each


def test_a_whole_body(client: openai.OpenAI) -> None:
    """The plain call gives mp3 that decodes, and the id of its request."""
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")

    with av.open(io.BytesIO(speech.content)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 2_400
    assert speech.response.headers["x-request-id"]


def test_a_streamed_body(client: openai.OpenAI) -> None:
    """Bytes arrive in parts, and are what the whole body has."""
    asked = {"model": "tts-1", "voice": "alloy", "input": "Hi there.", "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**asked) as speech:  # type: ignore[call-overload]
        parts = list(speech.iter_bytes(1_024))

    assert len(parts) > 2
    assert b"".join(parts) == client.audio.speech.create(**asked).content  # type: ignore[call-overload]


def test_asynchronously(keyed: tuple[Served, str]) -> None:
    """Several at once each get their own speech."""
    served, key = keyed

    async def each(text: str) -> bytes:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key) as client:
            made = await client.audio.speech.create(
                model="tts-1", voice="alloy", input=text, response_format="pcm"
            )
            return made.content

    async def both() -> list[bytes]:
        return await asyncio.gather(each("Hi."), each("Hi there, you."))

    short, long = asyncio.run(both())
    assert 0 < len(short) < len(long)


def test_models_and_voices(client: openai.OpenAI) -> None:
    """Lists, consents and voices are read by the package's own types."""
    assert "tts-1" in [model.id for model in client.models.list()]
    assert client.models.retrieve("tts-1").owned_by == "cosyrt"
    consent = client.audio.voice_consents.create(
        language="en-US", name="me", recording=("a.wav", recording(), "audio/x-wav")
    )
    voice = client.audio.voices.create(
        consent=consent.id, name="mine", audio_sample=("a.wav", recording(), "audio/x-wav")
    )
    spoken = client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="Hi.")

    assert spoken.content
    assert client.audio.voices.delete(voice.id).deleted


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"voice": "nobody"}, openai.NotFoundError),
        ({"input": ""}, openai.BadRequestError),
        ({"speed": 9}, openai.BadRequestError),
    ],
    ids=str,
)
def test_errors_are_those_of_the_package(
    client: openai.OpenAI, wrong: dict[str, object], kind: type[openai.APIStatusError]
) -> None:
    """A refusal is the package's own error, with the message in it."""
    with pytest.raises(kind) as refused:
        client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": "Hi.", **wrong})  # type: ignore[call-overload]

    assert next(iter(wrong)) in str(refused.value.param)


def test_a_wrong_key(keyed: tuple[Served, str]) -> None:
    """A key that is not known is an AuthenticationError."""
    served, _ = keyed
    with (
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")
