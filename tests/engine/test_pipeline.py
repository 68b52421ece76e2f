"""Text to audio, through every part, with the tiny model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline, Progress
from cosyrt.errors import CosyrtError, TextError, UsageError, VoiceError, VoiceNotFound
from cosyrt.frontend.voice import Voice
from tests import tiny as model

CPU = torch.device("cpu")
SHORT = "Hello there."
TEXT = "Hello there, my old friend."  # 66 speech tokens: two edges, with a prompt and without
TWO_PIECES = (
    "One two three four five six seven, " * 2
    + "and then. "
    + "Nine ten eleven twelve thirteen more, yes. " * 2
)


def prompted(**changes: Any) -> Voice:
    """A voice with a prompt that does not end on an edge, and its transcript."""
    random = np.random.default_rng(1)
    values: dict[str, Any] = {
        "name": "ada",
        "speaker": random.standard_normal(192),
        "speech_tokens": random.integers(0, model.SPEECH_VOCABULARY, 31),
        "mel": random.standard_normal((62, 80)),
        "text": "Good day.",
        "language": "en",
    }
    return Voice(**(values | changes))


VOICES = pytest.mark.parametrize(
    "voice", ["ann", prompted(), prompted(text="")], ids=["preset", "prompt", "no text"]
)


def other(tiny: Pipeline, *, overlap: bool = False, **stages: Callable[..., Any]) -> Pipeline:
    """A pipeline of the same model with some of its stages replaced."""
    made = Pipeline(tiny.folder, tiny.description, tiny.stages._replace(**stages), CPU)
    made.overlap = overlap
    return made


def terse(tiny: Pipeline, per_text: float, **stages: Callable[..., Any]) -> Pipeline:
    """The same with at most so many speech tokens a text token, for long texts."""
    made = other(tiny, **stages)
    speaking = replace(tiny.description.speaking, least_per_text=per_text / 2, most_per_text=per_text)
    made.description = replace(tiny.description, speaking=speaking)
    return made


def joined(parts: Iterator[Audio]) -> np.ndarray:  # float32 [N]
    return np.concatenate([part.samples for part in parts])


def same(one: np.ndarray, two: np.ndarray, tolerance: float = 1e-4) -> bool:
    return one.shape == two.shape and bool(np.abs(one - two).max() <= tolerance)


class Counted:
    """Counts the calls of a stage; may fail at one of them."""

    def __init__(self, stage: Callable[..., Any], fail_at: int | None = None) -> None:
        self.stage, self.fail_at, self.calls = stage, fail_at, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ZeroDivisionError("a broken stage")
        return self.stage(*args)


@VOICES
@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_the_stream_is_what_say_says(tiny: Pipeline, voice: str | Voice, speed: float) -> None:
    """Chunks joined are, sample for sample, the audio of one masked pass, with a prompt and without."""
    parts = list(tiny.stream(TEXT, voice=voice, speed=speed))
    whole = tiny.say(TEXT, voice=voice, speed=speed, chunked=True)

    assert len(parts) >= 3
    assert {part.rate for part in parts} == {whole.rate} == {tiny.sample_rate}
    assert same(joined(iter(parts)), whole.samples)


def test_a_text_of_several_pieces(tiny: Pipeline) -> None:
    """Pieces follow one another, each with its own edges, and progress counts them."""
    tts = terse(tiny, 1)
    seen: list[Progress] = []
    whole = tts.say(TWO_PIECES, chunked=True, progress=seen.append)

    assert same(joined(tts.stream(TWO_PIECES)), whole.samples)
    assert [(at.pieces_done, at.pieces) for at in seen] == [(1, 2), (2, 2)]
    assert 0 < seen[0].seconds < seen[1].seconds == whole.seconds


def test_a_frame_sees_everything_offline(tiny: Pipeline) -> None:
    """Without `chunked` the same tokens are spoken, a little otherwise."""
    whole, masked = (tiny.say(TEXT, chunked=chunked).samples for chunked in (False, True))

    assert whole.shape == masked.shape
    assert not same(whole, masked)


def test_the_seed_decides(tiny: Pipeline) -> None:
    """The same seed gives the same audio, bit for bit; another seed gives another."""
    once, again, another = (tiny.say(SHORT, seed=seed).samples for seed in (3, 3, 4))

    assert np.array_equal(once, again)
    assert once.shape != another.shape or not same(once, another)


def test_speed_changes_the_length(tiny: Pipeline) -> None:
    """The same tokens at twice the speed are half as long."""
    slow, fast = (tiny.say(SHORT, speed=speed) for speed in (1.0, 2.0))

    assert len(slow.samples) == 2 * len(fast.samples)


def test_overlap_changes_nothing(tiny: Pipeline) -> None:
    """With the language model in a thread of its own the samples are the same."""
    ahead = other(tiny, overlap=True)

    assert same(joined(ahead.stream(TEXT)), joined(tiny.stream(TEXT)), 0)
    assert same(ahead.say(SHORT).samples, tiny.say(SHORT).samples, 0)


@pytest.mark.parametrize("overlap", [False, True])
def test_interleaved_streams_do_not_meet(tiny: Pipeline, overlap: bool) -> None:
    """Two streams of one pipeline, read in turn, give what each gives alone."""
    tts, voice = other(tiny, overlap=overlap), prompted()
    alone = [joined(tiny.stream(TEXT, voice=voice, seed=seed)) for seed in (1, 2)]
    streams = [tts.stream(TEXT, voice=voice, seed=seed) for seed in (1, 2)]
    parts: list[list[Audio]] = [[], []]
    while any([advance(stream, into) for stream, into in zip(streams, parts, strict=True)]):  # noqa: C419
        pass

    assert all(same(joined(iter(own)), own_alone, 0) for own, own_alone in zip(parts, alone, strict=True))


def advance(stream: Iterator[Audio], into: list[Audio]) -> bool:
    """One step of a stream; whether there was one."""
    into.extend(part for part in [next(stream, None)] if part is not None)
    return bool(getattr(stream, "gi_frame", None))


def test_streams_in_threads_do_not_meet(tiny: Pipeline) -> None:
    """Two threads that stream from one pipeline, with the same voice, hear what each hears alone."""
    tts, voice = other(tiny), prompted()
    alone = [joined(tiny.stream(TEXT, voice=voice, seed=seed)) for seed in (1, 2)]
    heard: dict[int, np.ndarray] = {}
    start = threading.Barrier(2)

    def listen(seed: int) -> None:
        start.wait()
        heard[seed] = joined(tts.stream(TEXT, voice=voice, seed=seed))

    threads = [threading.Thread(target=listen, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(same(heard[seed], alone[seed - 1]) for seed in (1, 2))


@pytest.mark.parametrize("overlap", [False, True])
def test_closing_stops_the_language_model(tiny: Pipeline, overlap: bool) -> None:
    """After the first chunk is read and the stream closed, no further token is made."""
    step = Counted(tiny.stages.step)
    tts = other(tiny, overlap=overlap, step=step)
    pieces = (f" Number {number}." for number in range(1_000_000))
    stream = tts.stream(pieces)
    next(stream)
    stream.close()
    made = step.calls

    assert made < 1_000
    assert [thread.name for thread in threading.enumerate() if thread.name == "cosyrt-ahead"] == []
    assert step.calls == made


def test_tokens_are_made_as_they_are_needed(tiny: Pipeline) -> None:
    """Without overlap the language model is no further than the first edge and its look-ahead."""
    step = Counted(tiny.stages.step)
    stream = other(tiny, step=step).stream(TEXT)
    next(stream)
    stream.close()

    assert step.calls == 25 + 3 - 1  # the first token comes without a step


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("stage", ["new_cache", "prefill", "step", "encode", "velocity", "speaker"])
def test_an_error_of_any_stage_reaches_the_caller(tiny: Pipeline, stage: str, overlap: bool) -> None:
    """What a stage raises comes out of `stream` and `say` as it is, and no thread stays behind."""
    for speak in (lambda tts: list(tts.stream(SHORT)), lambda tts: tts.say(SHORT)):
        broken = other(tiny, overlap=overlap, **{stage: Counted(getattr(tiny.stages, stage), fail_at=1)})
        with pytest.raises(ZeroDivisionError, match="a broken stage"):
            speak(broken)
    assert [thread.name for thread in threading.enumerate() if thread.name == "cosyrt-ahead"] == []


@pytest.mark.parametrize("stage", ["pitch", "excite", "vocode"])
def test_an_error_in_the_middle_of_a_stream(tiny: Pipeline, stage: str) -> None:
    """A stage that breaks later leaves the audio before it to the caller."""
    stream = other(tiny, overlap=True, **{stage: Counted(getattr(tiny.stages, stage), fail_at=2)}).stream(
        TEXT
    )

    assert len(next(stream).samples) > 0
    with pytest.raises(ZeroDivisionError, match="a broken stage"):
        list(stream)


def test_models_that_fail_are_told(tiny: Pipeline) -> None:
    """Samples that are not finite are a SpeechError, not noise."""
    broken = other(tiny, vocode=lambda mel, source: tiny.stages.vocode(mel, source) * torch.nan)

    with pytest.raises(cosyrt.SpeechError, match="not finite"):
        broken.say(SHORT)
    with pytest.raises(cosyrt.SpeechError, match="not finite"):
        list(broken.stream(SHORT))


def test_text_in_parts(tiny: Pipeline) -> None:
    """Text that arrives in parts is spoken sentence by sentence, however it is cut."""
    sentences = ["Hello there.", " How are you?", " Fine."]
    whole = joined(tiny.stream(iter(sentences)))

    assert same(joined(tiny.stream(iter("".join(sentences)))), whole, 0)
    assert same(joined(tiny.stream(["Hello the", "re. How", " are you? ", "", "Fine."])), whole, 0)


@pytest.mark.parametrize("overlap", [False, True])
def test_audio_comes_before_the_text_ends(tiny: Pipeline, overlap: bool) -> None:
    """A sentence sounds to its end while the next is being written; the writer's error is the reader's."""

    def writer() -> Iterator[str]:
        yield TEXT
        yield " And"
        raise KeyError("the writer failed")

    stream = other(tiny, overlap=overlap).stream(writer())
    heard = 0
    with pytest.raises(KeyError, match="the writer failed"):
        for part in stream:
            heard += len(part.samples)
    assert heard == len(tiny.say(TEXT).samples)


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


def test_a_transcript_without_its_recording_is_not_spoken(tiny: Pipeline) -> None:
    """A voice with words but no speech tokens is a preset: the words are no prompt, or they would be said."""
    bare = {"speech_tokens": np.zeros(0), "mel": np.zeros((0, 80))}
    said, silent = (tiny.say(SHORT, voice=prompted(text=text, **bare)) for text in ("Good day.", ""))

    assert same(said.samples, silent.samples, 0)


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
