"""The real speech services of LiveKit and Pipecat against a real server, where they are installed."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

from tests.service.served import Served

TEXT = "Hello from an agent. It speaks."


def is_installed(name: str) -> bool:
    """Whether a package is there, inside another one too."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


async def _by_livekit(url: str, **options: str) -> float:
    from livekit.plugins import openai

    tts = openai.TTS(base_url=f"{url}/v1", api_key="none", **options)
    heard_s = 0.0
    async with tts.synthesize(TEXT) as stream:
        async for event in stream:
            heard_s += event.frame.duration
    await tts.aclose()
    return heard_s


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("livekit.plugins.openai"), reason="pip install livekit-plugins-openai")
@pytest.mark.filterwarnings("default")  # those of the package
@pytest.mark.parametrize(
    "options",
    [{}, {"model": "tts-1", "voice": "nova", "response_format": "pcm"}, {"response_format": "opus"}],
    ids=["default", "pcm", "opus"],
)
def test_livekit_hears_all_of_it(served: Served, options: dict[str, str]) -> None:
    """The plug-in decodes as much speech as bare samples have."""
    whole_s = len(served.speak(TEXT, response_format="pcm").body) / 48_000
    heard_s = asyncio.run(_by_livekit(served.url, **options))

    assert heard_s == pytest.approx(whole_s, abs=0.2)


async def _by_pipecat(url: str) -> int:
    from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame
    from pipecat.services.openai.tts import OpenAITTSService

    service = OpenAITTSService(base_url=f"{url}/v1", api_key="none", voice="alloy")
    service._sample_rate = service._settings.sample_rate = 24_000  # as a pipeline sets it when it starts
    heard = 0
    async for frame in service.run_tts(TEXT, "context"):
        assert not isinstance(frame, ErrorFrame), frame
        if isinstance(frame, TTSAudioRawFrame):
            assert frame.sample_rate == 24_000
            heard += len(frame.audio)
    await service._client.close()
    return heard


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("pipecat.services.openai"), reason="pip install 'pipecat-ai[openai]'")
@pytest.mark.filterwarnings("default")  # those of the package
def test_pipecat_hears_every_sample(served: Served) -> None:
    """The service of the package gets each byte of the samples."""
    whole = len(served.speak(TEXT, response_format="pcm").body)

    assert asyncio.run(_by_pipecat(served.url)) == whole
