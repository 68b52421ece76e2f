"""Text to audio with the tiny model: texts, voices, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline, Progress
from cosyrt.errors import CosyrtError, TextError, UsageError, VoiceError, VoiceNotFound
from tests.engine.pipelines import SHORT, joined, other, prompted, same, terse

TWO_PIECES = "One two three four five six seven, " * 2 + "and then. " + "Nine ten eleven twelve, yes. " * 3


def test_a_text_of_several_pieces(tiny: Pipeline) -> None:
    """Pieces follow one another, each with its own edges, and progress counts them."""
    tts = terse(tiny, 1)
    seen: list[Progress] = []
    whole = tts.say(TWO_PIECES, chunked=True, progress=seen.append)

    assert same(joined(tts.stream(TWO_PIECES)), whole.samples)
    assert [(at.pieces_done, at.pieces) for at in seen] == [(1, 2), (2, 2)]
    assert 0 < seen[0].seconds < seen[1].seconds == whole.seconds


def test_text_in_parts(tiny: Pipeline) -> None:
    """Text that arrives in parts is spoken sentence by sentence, however it is cut."""
    sentences = ["Hello there.", " How are you?", " Fine."]
    whole = joined(tiny.stream(iter(sentences)))

    assert same(joined(tiny.stream(iter("".join(sentences)))), whole, 0)
    assert same(joined(tiny.stream(["Hello the", "re. How", " are you? ", "", "Fine."])), whole, 0)


@pytest.mark.parametrize("text", ["", "  \n", "!?", "😀", [], ["", " "], ["😀. ", "…"]])
def test_nothing_to_say(tiny: Pipeline, text: str | list[str]) -> None:
    """Text in which nothing can be spoken is a TextError, whole or in parts."""
    with pytest.raises(TextError):
        list(tiny.stream(text))
    if isinstance(text, str):
        with pytest.raises(TextError):
            tiny.say(text)


def test_parts_that_cannot_be_spoken_are_passed_over(tiny: Pipeline) -> None:
    """A sentence of emoji between others says nothing and breaks nothing."""
    plain = joined(tiny.stream(["Hello. ", "Bye."]))

    assert same(joined(tiny.stream(["😀! ", "Hello. ", "🎉🎉. ", "…! ", "Bye."], voice="ann")), plain, 0)


def test_emoji_among_words(tiny: Pipeline) -> None:
    """Emoji between words are left out of the speech."""
    mixed, plain = (tiny.say(text) for text in ("Hello 😀 world 🎉!", "Hello world!"))

    assert same(mixed.samples, plain.samples, 0)


@pytest.mark.parametrize("word", ["word ", "词", "la"])
def test_a_long_text_without_marks(tiny: Pipeline, word: str) -> None:
    """2,000 characters without any punctuation are cut into pieces and spoken."""
    tts = terse(tiny, 0.05, velocity=lambda x, *rest: torch.zeros_like(x))
    text = (word * 2_000)[:2_000]
    seen: list[Progress] = []
    audio = tts.say(text, progress=seen.append)

    assert len(seen) == seen[0].pieces >= 5
    assert audio.seconds >= 0.04 * len(seen)


def test_the_default_voice_follows_the_language(tiny: Pipeline) -> None:
    """The first voice of the text's language, else the first voice."""
    assert [tiny.default_voice(text) for text in ("Hello", "你好", "안녕", "123")] == [
        "ann",
        "mei",
        "ann",
        "ann",
    ]
    assert same(tiny.say("你好").samples, tiny.say("你好", voice="mei").samples, 0)
    assert same(
        joined(tiny.stream(["你好。", "Hello."])), joined(tiny.stream(["你好。", "Hello."], voice="mei")), 0
    )


def test_a_model_without_voices(tiny: Pipeline) -> None:
    """Without voices of its own a model says so and asks for a reference."""
    tts = other(tiny)
    tts.voices = {}

    with pytest.raises(VoiceError, match="comes without voices; give a reference clip"):
        tts.say(SHORT)
    with pytest.raises(VoiceNotFound, match="no voice 'bob'; this model has: none"):
        tts.say(SHORT, voice="bob")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"voice": "bob"}, VoiceNotFound, "no voice 'bob'; this model has: ann, mei"),
        (
            {"voice": prompted(family="cosyvoice3")},
            VoiceError,
            "'ada' is of cosyvoice3, the model is cosyvoice2",
        ),
        (
            {"voice": prompted(speech_tokens=np.full(31, 4_000))},
            VoiceError,
            r"'ada' has the speech token 4000",
        ),
        ({"speed": 0.4}, UsageError, "speed 0.4 is out of range; choose 0.5 to 2"),
        ({"speed": 2.1}, UsageError, "speed 2.1 is out of range"),
        ({"speed": float("nan")}, UsageError, "speed nan is out of range"),
    ],
)
def test_what_cannot_be_asked(
    tiny: Pipeline, options: dict[str, Any], error: type[CosyrtError], words: str
) -> None:
    """A voice or speed that cannot be used is one line of error before any model runs."""
    tts = other(tiny, prefill=lambda *args: pytest.fail("a model ran"))
    for speak in (lambda: tts.say(SHORT, **options), lambda: list(tts.stream(SHORT, **options))):
        with pytest.raises(error, match=words):
            speak()


def test_a_voice_from_a_recording(tiny: Pipeline, tmp_path: Path) -> None:
    """Reference audio, from memory or a file, becomes a voice that can be spoken with at once."""
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10
    audio = Audio(noise, 24_000)
    audio.write(tmp_path / "me.wav")
    voice = tiny.voice_from(audio, "My own words.", "me")
    read = tiny.voice_from(tmp_path / "me.wav", "My own words.")

    assert (voice.name, read.name) == ("me", "reference")
    assert 40 <= len(voice.speech_tokens) == len(read.speech_tokens) <= 50
    assert same(joined(tiny.stream(SHORT, voice=voice)), tiny.say(SHORT, voice=voice, chunked=True).samples)


@pytest.mark.parametrize("device", ["", "gpu", "cpu:x", "cuda:99", "meta"])
def test_devices_that_cannot_be_used(tiny_folder: Path, device: str) -> None:
    """A device that does not exist or cannot compute is a UsageError that names it."""
    with pytest.raises(UsageError, match=f"the device '{device}' cannot be used: .*; try cpu") as caught:
        cosyrt.load(tiny_folder, device=device)
    assert "\n" not in str(caught.value)


def test_what_a_pipeline_says_of_itself(tiny: Pipeline, tiny_folder: Path) -> None:
    """Rate, family, device and voices; without a device CUDA is taken where there is a GPU."""
    assert (tiny.sample_rate, tiny.family, tiny.device) == (24_000, "cosyvoice2", "cpu")
    assert {name: voice.language for name, voice in tiny.voices.items()} == {"ann": "en", "mei": "zh"}
    assert cosyrt.load(tiny_folder).device == ("cuda:0" if torch.cuda.is_available() else "cpu")
