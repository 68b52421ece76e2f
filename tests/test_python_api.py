"""The public Python API on the built-in voice, as docs/python.md shows it: an example that is run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cosyrt
from cosyrt import Audio, Pipeline, Progress, Voice

BUILTIN = Path(cosyrt.__file__).parent / "builtin" / "cosyvoice2.yaml"
pytestmark = pytest.mark.skipif(not BUILTIN.exists(), reason="the built-in voice is not trained yet")

ENGLISH, MANDARIN = "She opened the window.", "她打开了窗户。"


@pytest.fixture(scope="module")
def tts() -> Pipeline:
    """The built-in voice, loaded once."""
    return cosyrt.load(device="cpu")


@pytest.fixture(scope="module")
def spoken(tts: Pipeline) -> Audio:
    """One English sentence."""
    return tts.say(ENGLISH)


def difference(one: Audio, other: Audio) -> float:
    """Largest difference of two audios of one length, against the largest sample."""
    assert len(one.samples) == len(other.samples)
    return float(np.abs(one.samples - other.samples).max() / np.abs(one.samples).max())


def test_a_sentence_becomes_audio(tts: Pipeline, spoken: Audio) -> None:
    """Mono float32 samples at the model's rate, as long as such a sentence takes, within full scale."""
    assert spoken.rate == tts.sample_rate == 24_000
    assert spoken.samples.dtype == np.float32
    assert spoken.samples.ndim == 1
    assert 0.7 < spoken.seconds < 3.5
    assert 0.05 < np.abs(spoken.samples).max() <= 1


@pytest.mark.parametrize("name", ["hello.wav", "hello.mp3"])
def test_audio_is_written_and_read_again(spoken: Audio, tmp_path: Path, name: str) -> None:
    """A file of either kind holds the speech."""
    spoken.write(tmp_path / name)
    assert Audio.read(tmp_path / name).seconds == pytest.approx(spoken.seconds, abs=0.1)


def test_a_seed_gives_the_same_audio_again(tts: Pipeline, spoken: Audio) -> None:
    """The default seed is 0; another seed speaks otherwise."""
    assert np.array_equal(tts.say(ENGLISH, seed=0).samples, spoken.samples)
    assert not np.array_equal(tts.say(ENGLISH, seed=1).samples[:20_000], spoken.samples[:20_000])


def test_the_language_chooses_the_voice(tts: Pipeline) -> None:
    """Each language has a voice of its own among those that can be named."""
    english, mandarin = tts.default_voice(ENGLISH), tts.default_voice(MANDARIN)
    assert {english, mandarin} <= set(tts.voices)
    assert (tts.voices[english].language, tts.voices[mandarin].language) == ("en", "zh")


@pytest.mark.parametrize("text", [ENGLISH, MANDARIN])
def test_a_stream_is_the_whole(tts: Pipeline, text: str) -> None:
    """Chunks joined are what `say(chunked=True)` gives; the tolerance is float32 summed in another order."""
    streamed = Audio.join(tts.stream(text))
    assert difference(tts.say(text, chunked=True), streamed) < 1e-3


def test_text_may_arrive_in_parts(tts: Pipeline) -> None:
    """Parts that end anywhere are spoken sentence by sentence; the second is not waited for."""
    asked: list[str] = []

    def parts() -> Iterator[str]:
        for part in ("She ope", "ned the window. Then ", "she closed it."):
            asked.append(part)
            yield part

    stream = tts.stream(parts())
    assert next(stream).seconds > 0
    assert len(asked) == 2
    stream.close()
    assert len(asked) == 2


def test_speed_changes_the_length(tts: Pipeline, spoken: Audio) -> None:
    """Twice as fast is half as long, at the same rate of samples."""
    fast = tts.say(ENGLISH, speed=2.0)
    assert fast.rate == spoken.rate
    assert fast.seconds == pytest.approx(spoken.seconds / 2, rel=0.1)


@pytest.mark.slow
def test_progress_is_reported(tts: Pipeline) -> None:
    """Once for each piece, up to the length of the audio."""
    seen: list[Progress] = []
    audio = tts.say(f"{ENGLISH} " * 12, progress=seen.append)
    assert [at.pieces_done for at in seen] == list(range(1, len(seen) + 1))
    assert len(seen) == seen[0].pieces > 1
    assert seen[-1].seconds == pytest.approx(audio.seconds)


def test_a_recording_becomes_a_voice(tts: Pipeline, spoken: Audio, tmp_path: Path) -> None:
    """A clip and its words make a voice that can be saved, loaded and spoken with."""
    spoken.write(tmp_path / "clip.wav")
    voice = tts.voice_from(tmp_path / "clip.wav", ENGLISH, name="clip")
    voice.save(tmp_path / "clip.safetensors")
    again = Voice.load(tmp_path / "clip.safetensors")
    assert (again.name, again.text, again.family) == (voice.name, voice.text, tts.family)
    assert 0.5 < tts.say("Then she closed it.", voice=again).seconds < 6


def test_utterances_do_not_disturb_each_other(tts: Pipeline, spoken: Audio) -> None:
    """Two at once, from two threads, give what each gives alone."""
    with ThreadPoolExecutor(2) as pool:
        english, mandarin = pool.map(tts.say, (ENGLISH, MANDARIN))
    assert difference(spoken, english) < 1e-3
    assert difference(tts.say(MANDARIN), mandarin) < 1e-3


def test_mistakes_are_named(tts: Pipeline) -> None:
    """Each mistake is its own class, and all are CosyrtErrors of one line."""
    for error, mistake in (
        (cosyrt.VoiceNotFound, lambda: tts.say("Hello.", voice="nobody")),
        (cosyrt.TextError, lambda: tts.say("?!")),
        (cosyrt.UsageError, lambda: tts.say("Hello.", speed=9)),
        (cosyrt.ModelNotFound, lambda: cosyrt.load("no/such/folder")),
        (cosyrt.UsageError, lambda: cosyrt.load(device="abacus")),
        (cosyrt.AudioError, lambda: tts.voice_from("no/such/clip.wav", "Hello.")),
    ):
        with pytest.raises(error) as raised:
            mistake()
        assert isinstance(raised.value, cosyrt.CosyrtError)
        assert "\n" not in str(raised.value)
