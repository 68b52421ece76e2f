"""One utterance: streams that equal the whole, do not meet, stop when closed, and pass errors on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine import token_stream
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.pipeline import Pipeline
from cosyrt.voice.voice import Voice
from tests.engine.pipelines import SHORT, TEXT, Counted, joined, other, prompted, same
from tests.engine.test_prefetch import closes
from tests.threads import Started

VOICES = pytest.mark.parametrize(
    "voice", ["ann", prompted(), prompted(text="")], ids=["preset", "prompt", "no text"]
)


@VOICES
@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_the_stream_is_what_say_says(tiny: Pipeline, voice: str | Voice, speed: float) -> None:
    """Chunks joined are, sample for sample, the audio of one masked pass, with a prompt and without."""
    parts = list(tiny.stream(TEXT, voice=voice, speed=speed))
    whole = tiny.say(TEXT, voice=voice, speed=speed, chunked=True)

    assert len(parts) >= 3
    assert {part.rate for part in parts} == {whole.rate} == {tiny.sample_rate}
    assert same(joined(iter(parts)), whole.samples)


def test_a_frame_sees_everything_offline(tiny: Pipeline) -> None:
    """Without `chunked` the same tokens are spoken, a little otherwise."""
    whole, masked = (tiny.say(TEXT, chunked=chunked).samples for chunked in (False, True))

    assert whole.shape == masked.shape
    assert not same(whole, masked)


def test_the_seed_decides(tiny: Pipeline) -> None:
    """One seed gives one audio, bit for bit; another seed gives another."""
    once, again, another = (tiny.say(SHORT, seed=seed).samples for seed in (3, 3, 4))

    assert np.array_equal(once, again)
    assert once.shape != another.shape or not same(once, another)


def test_speed_changes_the_length(tiny: Pipeline) -> None:
    """Speech at twice the speed is half as long."""
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
    started = Started()
    step = Counted(tiny.model.stages.step)
    tts = other(tiny, overlap=overlap, step=step)
    pieces = (f" Number {number}." for number in range(1_000_000))
    stream = tts.stream(pieces)
    next(stream)
    stream.close()
    made = step.calls

    assert made < 1_000
    assert not started("cosyrt-prefetch")
    assert step.calls == made


@pytest.mark.parametrize("interleave", [False, True])
def test_closing_does_not_wait_for_the_text(spelling: Pipeline, interleave: bool) -> None:
    """A chat model that thinks holds nobody up; its late words are not read, and no token is made of them."""
    started = Started()
    step, read = Counted(spelling.model.stages.step), Counted(spelling.model.stages.read)
    thought, thinking = threading.Event(), threading.Event()

    def chat() -> Iterator[str]:
        yield f"{TEXT} Yes. "
        thinking.set()
        thought.wait()
        yield from ("More. ", "And more. ")

    stream = other(spelling, overlap=True, step=step, read=read).stream(chat(), interleave=interleave)
    next(stream)
    assert thinking.wait(60)
    assert closes(stream)
    made = step.calls, read.calls
    thought.set()
    for thread in started("cosyrt-prefetch"):
        thread.join()

    assert (step.calls, read.calls) == made


def test_tokens_are_made_as_they_are_needed(tiny: Pipeline) -> None:
    """Without overlap the language model is no further than the first boundary and its look-ahead."""
    step = Counted(tiny.model.stages.step)
    stream = other(tiny, step=step).stream(TEXT)
    next(stream)
    stream.close()

    assert step.calls == 25 + 3 - 1  # the first token comes without a step


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("stage", ["new_cache", "prefill", "step", "encode", "velocity", "speaker"])
def test_an_error_of_any_stage_reaches_the_caller(tiny: Pipeline, stage: str, overlap: bool) -> None:
    """An error of a stage comes out of `stream` and `say` as it is, and no thread stays behind."""
    started = Started()
    for speak in (lambda tts: list(tts.stream(SHORT)), lambda tts: tts.say(SHORT)):
        broken = other(
            tiny, overlap=overlap, **{stage: Counted(getattr(tiny.model.stages, stage), fail_at=1)}
        )
        with pytest.raises(ZeroDivisionError, match="a broken stage"):
            speak(broken)
    assert not started("cosyrt-prefetch")


@pytest.mark.parametrize("stage", ["pitch", "excite", "vocode"])
def test_an_error_in_the_middle_of_a_stream(tiny: Pipeline, stage: str) -> None:
    """A stage that breaks later leaves the audio before it to the caller."""
    stream = other(
        tiny, overlap=True, **{stage: Counted(getattr(tiny.model.stages, stage), fail_at=2)}
    ).stream(TEXT)

    assert len(next(stream).samples) > 0
    with pytest.raises(ZeroDivisionError, match="a broken stage"):
        list(stream)


def test_models_that_fail_are_told(tiny: Pipeline) -> None:
    """Samples that are not finite are a SpeechError, not noise."""
    broken = other(tiny, vocode=lambda *args: tiny.model.stages.vocode(*args) * torch.nan)

    with pytest.raises(cosyrt.SpeechError, match="not finite"):
        broken.say(SHORT)
    with pytest.raises(cosyrt.SpeechError, match="not finite"):
        list(broken.stream(SHORT))


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


def test_a_transcript_without_its_recording_is_not_spoken(tiny: Pipeline) -> None:
    """A voice with words but no speech tokens is a preset: the words are no prompt, or they would be said."""
    bare = {"speech_tokens": np.zeros(0), "mel": np.zeros((0, 80))}
    said, silent = (tiny.say(SHORT, voice=prompted(text=text, **bare)) for text in ("Good day.", ""))

    assert same(said.samples, silent.samples, 0)


def test_pauses_are_silence_and_pieces_are_timed(tiny: Pipeline) -> None:
    """A pause is silence of its length, and each piece is told with the time at which it is heard."""
    text, second = "Hello there.[pause:500ms]Good bye.[pause:1s]", tiny.sample_rate
    told: list[SpokenPiece] = []
    whole = tiny.say(text, voice="ann", on_piece=told.append)
    one, two = told

    assert (one.text.strip(), two.text.strip()) == ("Hello there.", "Good bye.")
    assert one.begin_s == 0 and two.begin_s == pytest.approx(one.end_s + 0.5)
    assert whole.seconds == pytest.approx(two.end_s + 1)
    begin, end = (round(at * second) for at in (one.end_s, two.begin_s))
    assert not whole.samples[begin:end].any() and not whole.samples[-second:].any()

    streamed: list[SpokenPiece] = []
    parts = list(tiny.stream(text, voice="ann", on_piece=streamed.append))
    assert streamed == told and sum(part.seconds for part in parts) == pytest.approx(whole.seconds)


def test_lost_words_of_a_stream_are_spoken_behind(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a piece that lost words follows what was heard of it; whole and streamed are the same."""
    told: list[str] = []

    def loses_words(piece: str, sounds: int, tokens: int) -> bool:
        told.append(piece)
        return True

    plain = tiny.say(SHORT, voice="ann", chunked=True)
    monkeypatch.setattr(token_stream, "loses_words", loses_words)
    monkeypatch.setattr(token_stream, "unspoken", lambda piece, tokens, count: piece[-6:])
    whole = tiny.say(SHORT, voice="ann", chunked=True)

    assert told == [SHORT]
    assert len(whole.samples) > len(plain.samples)
    assert same(joined(tiny.stream(SHORT, voice="ann")), whole.samples)
