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
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.text.tokenizer import TextTokenizer
from cosyrt.voice.voice import Voice
from tests.engine.pipelines import SHORT, TEXT, Counted, joined, other, prompted, same, terse

TWO_PIECES = "One two three four five six seven, " * 2 + "and then. " + "Nine ten eleven, " * 5 + "yes."


def test_a_text_of_several_pieces(tiny: Pipeline) -> None:
    """Pieces follow one another, each with its own boundaries, and progress counts them."""
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


def test_letters_without_a_sound(tiny: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """A model with a pronunciation refuses a script it cannot say, and tells what it leaves out of a text."""
    tts = other(tiny)
    tts.tokenizer = TextTokenizer(tiny.tokenizer._tokenizer, ArpabetPinyin())
    plain = joined(tts.stream(["Hello. ", "Bye."]))

    for speak in (tts.say, lambda text: list(tts.stream([text]))):
        with pytest.raises(TextError, match="cannot read the letters Привет"):
            speak("Привет, привет?")
    assert "left out" not in caplog.text
    assert same(joined(tts.stream(["Hello. ", "Привет. ", "Bye."])), plain, 0)
    assert caplog.text.count("cannot read the letters Привет: they are left out") == 1


def test_emoji_among_words(tiny: Pipeline) -> None:
    """Emoji between words are left out of the speech."""
    mixed, plain = (tiny.say(text) for text in ("Hello 😀 world 🎉!", "Hello world!"))

    assert same(mixed.samples, plain.samples, 0)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["word ", "词", "la"])
def test_a_long_text_without_marks(tiny: Pipeline, word: str) -> None:
    """2,000 characters without any punctuation are cut into pieces and spoken."""
    tts = terse(tiny, 0.7, velocity=lambda inputs, cache: torch.zeros_like(inputs.x))
    text = (word * 2_000)[:2_000]
    seen: list[Progress] = []
    audio = tts.say(text, progress=seen.append)

    assert len(seen) == seen[0].pieces >= 5
    assert audio.seconds >= 0.04 * len(seen)


def test_the_default_voice_follows_the_language(tiny: Pipeline) -> None:
    """The first voice of the text's language, else the first voice."""
    assert [tiny.default_voice(text) for text in ("Hello", "你好", "안녕", "123", "3.14", "")] == [
        "ann",
        "mei",
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
    with pytest.raises(VoiceNotFound, match="no voice is called 'bob'; this model has none"):
        tts.say(SHORT, voice="bob")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"voice": "bob"}, VoiceNotFound, "no voice is called 'bob'; this model has ann, mei"),
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
        ({"speed": 0.2}, UsageError, "speed 0.2 is out of range; choose 0.25 to 4"),
        ({"speed": 4.1}, UsageError, "speed 4.1 is out of range"),
        ({"speed": float("nan")}, UsageError, "speed nan is out of range"),
        ({"speed": "fast"}, UsageError, "speed 'fast' is out of range"),
        *(({"seed": s}, UsageError, "seed .* is out of range") for s in (-1, 2**64, 1.5, "a", None)),
        ({"text": None}, UsageError, "cannot speak None; give a str, or an iterable of them"),
        ({"text": b"abc"}, UsageError, "cannot speak b'abc'"),
        ({"text": ["a", 1]}, UsageError, "cannot speak 1"),
    ],
)
def test_what_cannot_be_asked(
    tiny: Pipeline, options: dict[str, Any], error: type[CosyrtError], words: str
) -> None:
    """A text, voice, speed or seed that cannot be used is one line of error before any model runs."""
    tts = other(tiny, prefill=lambda *args: pytest.fail("a model ran"))
    options = {"text": SHORT} | options
    for speak in (lambda: tts.say(**options), lambda: list(tts.stream(**options))):
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
    assert 50 <= len(voice.speech_tokens) == len(read.speech_tokens) <= 60  # 2 s, and quiet at the end
    assert same(joined(tiny.stream(SHORT, voice=voice)), tiny.say(SHORT, voice=voice, chunked=True).samples)


def test_numbers_and_texts_of_other_kinds(tiny: Pipeline) -> None:
    """NumPy's numbers are numbers, the largest seed is one, and `say` joins the parts of a text."""
    said = tiny.say(SHORT, speed=1.5, seed=2**64 - 1).samples

    assert same(said, tiny.say(SHORT, speed=np.float32(1.5), seed=np.uint64(2**64 - 1)).samples)
    assert same(said, tiny.say(iter(SHORT), speed=1.5, seed=2**64 - 1).samples)


@pytest.mark.parametrize("device", ["", "gpu", "cpu:x", "cuda:99", "meta", "xpu", "hpu"])
def test_devices_that_cannot_be_used(tiny_folder: Path, device: str) -> None:
    """A device that does not exist or cannot compute is a UsageError that names it."""
    with pytest.raises(UsageError, match=f"the device '{device}' cannot be used: .*; try cpu") as caught:
        cosyrt.load(tiny_folder, device=device)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_a_pipeline_says_of_itself(tiny: Pipeline, tiny_folder: Path) -> None:
    """Rate, family, device and voices; without a device CUDA is taken where there is a GPU."""
    assert (tiny.sample_rate, tiny.family, tiny.device) == (24_000, "cosyvoice2", "cpu")
    assert {name: voice.language for name, voice in tiny.voices.items()} == {"ann": "en", "mei": "zh"}
    assert cosyrt.load(tiny_folder).device == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_text_as_written(spelling: Pipeline) -> None:
    """Without normalisation a number is its digits, which here are fewer letters, in `say` and `stream`."""
    plain, written = (spelling.say("It is 12.", as_written=how) for how in (False, True))

    assert written.seconds < plain.seconds
    assert written.seconds == sum(part.seconds for part in spelling.stream("It is 12.", as_written=True))


def test_pieces_come_whole(tiny: Pipeline) -> None:
    """A stream by piece is what `say` joins."""
    tts = terse(tiny, 1)
    parts = list(tts.stream(TWO_PIECES, by_piece=True))

    assert len(parts) == 2
    assert same(joined(iter(parts)), tts.say(TWO_PIECES).samples, 0)


def test_reading_while_speaking(spelling: Pipeline, tiny: Pipeline) -> None:
    """However the text is cut between words, the same is spoken; by piece too. A model that reads the
    pronunciation of sentences says that it cannot."""
    whole = joined(spelling.stream("Hello there, you two.", interleave=True, voice=prompted()))
    parts = iter(["Hel", "lo there,", " you", " two."])

    assert same(joined(spelling.stream(parts, interleave=True, voice=prompted())), whole, 0)
    assert [
        len(audio.samples)
        for audio in spelling.stream(
            iter(["Hello the", "re, you two."]), interleave=True, by_piece=True, voice=prompted()
        )
    ] == [len(whole)]
    with pytest.raises(UsageError, match="whole sentences; stream without interleave"):
        list(tiny.stream("Hello.", interleave=True))
    with pytest.raises(TextError):
        list(spelling.stream(["!", " 😀"], interleave=True))


@pytest.mark.parametrize("voice", ["ann", prompted()], ids=["preset", "prompt"])
def test_the_conversion_stream_is_the_conversion(tiny: Pipeline, voice: str | Voice) -> None:
    """Chunks joined are the whole, and last as long as the recording; a long one comes in two parts."""
    noise = np.random.default_rng(0).standard_normal(2 * 24_000).astype(np.float32) / 10
    source = Audio(noise, 24_000)
    parts = list(tiny.stream_conversion(source, voice=voice))
    whole = tiny.convert(source, voice=voice, chunked=True)

    assert len(parts) >= 2
    assert same(joined(iter(parts)), whole.samples)
    assert whole.seconds == tiny.convert(source, voice=voice).seconds == pytest.approx(2, abs=0.04)
    assert tiny.convert(source, voice=voice, speed=2.0).seconds == pytest.approx(1, abs=0.04)


def test_an_instruction_to_a_model_that_follows_none(tiny: Pipeline) -> None:
    """An instruction that comes late is refused, not spoken aloud."""
    with pytest.raises(UsageError, match="does not follow instructions"):
        tiny.say("Hello.", instruction="Softly.")


class Read:
    """A pipeline, and what its language model was given to read when it began a piece."""

    def __init__(self, plain: Pipeline) -> None:
        self.plain, self.texts = plain, list[str]()
        self.tts = terse(plain, 1, prefill=self.prefill)

    def prefill(self, text: torch.Tensor, *rest: Any) -> torch.Tensor:
        self.texts.append(self.plain.tokenizer.decode(text[0].tolist()))
        return self.plain.model.stages.prefill(text, *rest)


TOLD = "You are a helpful assistant. Speak softly.<|endofprompt|>"


@pytest.mark.parametrize("told", [TOLD, "Speak softly.<|endofprompt|>"])
def test_an_instruction_in_the_text_is_never_spoken(spelling: Pipeline, told: str) -> None:
    """Text that opens with one means the same whole and in parts."""
    whole, one, words = (Read(spelling) for _ in range(3))
    list(whole.tts.stream(f"{told}Hello there."))
    list(one.tts.stream([f"{told}Hello there."]))
    list(words.tts.stream(part + " " for part in f"{told}Hello there.".split(" ")))

    assert whole.texts == one.texts == words.texts == [f"{told}Hello there."]


@pytest.mark.parametrize("interleave", [False, True])
def test_an_instruction_after_words_is_refused(spelling: Pipeline, interleave: bool) -> None:
    """Where it is too late to take it as one, it is said how to give it, and it is not spoken."""
    read, text = Read(spelling), ["Hello there. ", "Speak ", "softly.<|endofprompt|>Yes."]
    with pytest.raises(UsageError, match=r"<\|endofprompt\|> comes after words .* instruction=…"):
        list(read.tts.stream(text, interleave=interleave))
    assert read.texts == ([] if interleave else ["Hello there."])


def test_an_opening_that_is_read_while_it_is_spoken(spelling: Pipeline) -> None:
    """Word by word or whole, it comes before all words."""
    text = f"{TOLD}Hello there, you two."
    whole = joined(spelling.stream(text, interleave=True, voice=prompted()))

    assert same(joined(spelling.stream(iter(text), interleave=True, voice=prompted())), whole, 0)


def test_the_device_is_looked_for_once(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the model is loaded, and never while it speaks."""

    def asked() -> bool:
        raise AssertionError("the device was looked for again")

    monkeypatch.setattr(torch.cuda, "is_available", asked)

    assert len(tiny.say(SHORT).samples) > 0
    assert sum(len(part.samples) for part in tiny.stream(TEXT, voice=prompted())) > 0


def test_a_voice_is_prepared_once_whatever_it_says(tiny: Pipeline) -> None:
    """Several pieces, several calls, one way of its speaker vector to the flow."""
    counted = Counted(tiny.model.stages.speaker)
    tts = other(tiny, speaker=counted)
    voice = prompted()
    for text in (f"{TEXT} {TEXT}", SHORT):
        tts.say(text, voice=voice)
        joined(tts.stream(text, voice=voice))

    assert counted.calls == 1


def test_listeners_of_the_wrong_kind(tiny: Pipeline) -> None:
    """Whoever is to be told of pieces or of progress must be a function."""
    wrong: Any = 5
    with pytest.raises(UsageError, match="on_piece is 5; give a function"):
        tiny.say(SHORT, on_piece=wrong)
    with pytest.raises(UsageError, match="on_piece is 5; give a function"):
        next(tiny.stream(SHORT, on_piece=wrong))
    with pytest.raises(UsageError, match="progress is 5; give a function"):
        tiny.say(SHORT, progress=wrong)
