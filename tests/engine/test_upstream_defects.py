"""What goes wrong upstream and does not here: one test for each, with the number of its line of the reference
where it has one (`C1` to `C19`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine.decoding import Decoder, LanguageModelInput
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import SpeechError, TextError
from cosyrt.models.llm import SPEECH
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests.engine.pipelines import SHORT, Counted, other, prompted, same, terse
from tests.engine.scripted import CONFIG, Script
from tests.threads import Started

Speak = Callable[[Pipeline], Iterator[Audio]]
NOISE = Audio(np.random.default_rng(0).standard_normal(72_000).astype(np.float32) / 10, 24_000)
STREAMS: dict[str, Speak] = {
    "whole sentences": lambda tts: tts.stream(sentence for sentence in ["Hello there, friends. "] * 1_000),
    "interleaved": lambda tts: tts.stream(("Hello " for _ in range(1_000)), interleave=True),
    "conversion": lambda tts: tts.stream_conversion(NOISE, voice="ann"),
}


@pytest.mark.parametrize("how", STREAMS)
def test_c1_a_failing_thread_ends_the_stream_with_its_error(spelling: Pipeline, how: str) -> None:
    """The error comes out where the audio would: no waiting for ever, no other error in its place."""
    stages = {
        stage: Counted(getattr(spelling.model.stages, stage), fail_at=3)
        for stage in ("step", "read", "velocity")
    }
    started = Started()
    with pytest.raises(ZeroDivisionError, match="a broken stage"):
        list(STREAMS[how](other(spelling, overlap=True, **stages)))
    assert not started()


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("how", STREAMS)
def test_c2_closing_the_iterator_stops_the_work(spelling: Pipeline, how: str, overlap: bool) -> None:
    """After close no thread is left and no stage runs."""
    stages = {stage: Counted(getattr(spelling.model.stages, stage)) for stage in ("step", "read", "velocity")}
    started = Started()
    stream = STREAMS[how](other(spelling, overlap=overlap, **stages))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    calls = [stage.calls for stage in stages.values()]

    assert not started()
    assert [stage.calls for stage in stages.values()] == calls
    assert max(calls) < 1_000


@pytest.mark.parametrize("stop", [10, 11, 12])
def test_c3_the_least_length_forbids_every_stop(stop: int) -> None:
    """Upstream forbids one of three in CosyVoice 2, and in 3 one that is none."""
    assert len(Script([stop]).say(CONFIG, LanguageModelInput([1, 2, 3], [], []))) == 6


@pytest.mark.parametrize("stop", [0, 1, 2, 3, 199])
def test_c3_the_least_length_of_cosyvoice3(tiny3: Pipeline, stop: int) -> None:
    """None of its two hundred stops ends an utterance before two tokens a text token."""
    end = tiny3.model.settings.decoding.end_token
    logp = torch.randn(1, end + 200, generator=torch.Generator().manual_seed(0))
    logp[0, end + stop] = 60.0
    words = len(tiny3.tokenizer.encode(SHORT))
    wanting = {stage: lambda *_: logp.log_softmax(-1) for stage in ("prefill", "step")}

    assert len(other(tiny3, **wanting).say(SHORT, voice="ann").samples) == 2 * words * 960


def test_c8_the_prompt_of_cosyvoice1_is_heard_at_its_own_rate(tiny1: Pipeline) -> None:
    """A prompt has 22,050 / 256 mel frames a second; upstream gives it audio of 24 kHz."""
    voice = tiny1.voice_from(NOISE, "")

    assert len(voice.mel) == pytest.approx(voice.speech_tokens.size / 50 * 22_050 / 256, abs=3)


def test_c9_conversion_aligns_tokens_and_mel(spelling: Pipeline) -> None:
    """The prompt's mel ends where its tokens do, and the speech has two frames a source token."""
    prompts: list[Tensor] = []

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        prompts.append(inputs.prompt)
        return spelling.model.stages.velocity(inputs, cache)

    tts = other(spelling, velocity=velocity)
    uneven = Audio(NOISE.samples[: 24_000 + 333], 24_000)
    voice = tts.voice_from(uneven, "")
    tokens = len(voice.speech_tokens)
    audio = tts.convert(NOISE, voice=voice)
    frames = prompts[0].abs().sum(dim=(0, 1)).count_nonzero()

    assert int(frames) == 2 * tokens
    assert prompts[0].shape[2] * 480 == 2 * tokens * 480 + len(audio.samples)
    assert len(audio.samples) % 960 == 0
    assert abs(audio.seconds - NOISE.seconds) <= 0.04


@pytest.mark.parametrize("voice", ["ann", prompted()], ids=["stored", "recorded"])
def test_c11_an_instruction_reaches_the_model_whatever_the_voice(
    spelling: Pipeline, voice: str | cosyrt.Voice
) -> None:
    """The text that the language model reads is the instruction and the words, without a transcript."""
    read: list[str] = []

    def prefill(text: Tensor, speech: Tensor, cache: Any) -> Tensor:
        read.append(spelling.tokenizer.decode(text[0].tolist()))
        assert speech.shape[1] == 0
        return spelling.model.stages.prefill(text, speech, cache)

    other(spelling, prefill=prefill).say(SHORT, voice=voice, instruction="Softly.")

    assert read == ["Softly.<|endofprompt|>" + SHORT]


def test_c12_text_comes_before_speech_without_a_prompt() -> None:
    """Where only an opening stands before the text, as CosyVoice 3 has it, speech waits for words."""
    script = Script([7] * 40)
    prompt = LanguageModelInput([], [1, 2, 3], [], opening_tokens=3)
    next(script.drive(Decoder(CONFIG, prompt, interleaved=True), iter(range(100, 120))))

    assert script.layout() == "m" + "ttt" + "ttttt"


@pytest.mark.parametrize("manner", [{}, {"cross_lingual": True}, {"instruction": "Softly."}])
def test_c12_text_in_streaming_of_cosyvoice3_without_a_prompt(
    tiny3: Pipeline, manner: dict[str, Any]
) -> None:
    """A preset, a voice without its words, an instruction: each speaks while the text is read."""
    read: list[str] = []

    def words() -> Iterator[str]:
        for word in ("Hello ", "there, ", "my ", "friends."):
            read.append(word)
            yield word

    stream = tiny3.stream(words(), interleave=True, voice="ann", **manner)
    assert next(stream).seconds > 0
    assert sum(part.seconds for part in stream) > 0
    assert len(read) == 4


def test_c12_each_speech_token_is_read_once() -> None:
    """Upstream reads the last one of a block again when the text ends, which training never showed it."""
    script = Script([*range(9), 3] * 4)
    spoken = script.interleave(range(7), replace(CONFIG, repetition_distinct=0, most_per_text=4))

    # The last one is read, too: the stop that may follow it tells speech that ended from speech that was cut.
    assert [number for kind, number in script.sequence if kind == SPEECH] == spoken


def test_c13_text_in_streaming_ends(caplog: pytest.LogCaptureFixture) -> None:
    """A model that never ends is cut after the text, and an end before it is not drawn."""
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        assert len(Script([3, 5] * 500).interleave(range(7), replace(CONFIG, repetition_distinct=0))) == 140
        assert len(Script([10]).interleave(range(5))) == 15
    assert caplog.messages == ["speech cut tokens=140 text_tokens=7"]


def test_c18_text_of_every_kind_is_spoken_or_refused(tiny: Pipeline, spelling: Pipeline) -> None:
    """Whitespace and emoji alone are one line of TextError; one character is audio."""
    for tts in (tiny, spelling):
        for text in (" ", "\n\t", "😀", "🎉🎉 ✨"):
            with pytest.raises(TextError) as caught:
                tts.say(text)
            assert "\n" not in str(caught.value)
        for text in ("a", "好", "7", "a 😀"):
            assert tts.say(text).seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("character", ["词", "a"])
def test_c18_ten_thousand_characters_without_a_mark(tiny: Pipeline, character: str) -> None:
    """Long texts become audio, in pieces that the language model can take."""
    cheap = {
        "velocity": lambda inputs, *_: torch.zeros_like(inputs.x),
        "vocode": lambda mel, source, *_: mel.new_tensor([[0.1, -0.1]]).repeat(1, mel.shape[2] * 240),
    }
    tts = terse(tiny, 0.7, **cheap)
    seen: list[int] = []
    audio = tts.say(character * 10_000, progress=lambda at: seen.append(at.pieces))

    assert len(seen) == seen[0] >= 10_000 / 120 / 16
    assert audio.seconds >= 0.04 * len(seen)


@pytest.mark.parametrize("circle", [[4], [1, 2, 3], [5, 5, 5, 6, 6, 7, 8, 9]])
def test_c19_runaway_repetition_is_cut_and_reported(
    circle: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Speech that goes round in a circle for four seconds ends long before its limit, with one warning."""
    script = Script([*range(10), *circle * 2_000])
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        spoken = script.say(
            replace(CONFIG, repetition_distinct=9), LanguageModelInput(list(range(100)), [], [])
        )

    assert len(spoken) == 500  # a quarter of its limit of 2,000
    assert caplog.messages == ["speech cut, it repeats itself tokens=500 text_tokens=100"]


def test_c19_speech_that_varies_is_not_cut(caplog: pytest.LogCaptureFixture) -> None:
    """Ten different tokens in turn are no repetition to one who looks for nine."""
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        spoken = Script([*range(10)] * 80 + [10]).say(
            replace(CONFIG, repetition_distinct=9), LanguageModelInput(list(range(100)), [], [])
        )

    assert len(spoken) == 800
    assert caplog.messages == []


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_c19_a_failed_language_model_is_told(tiny: Pipeline, bad: float) -> None:
    """Log-probabilities that are not finite are a SpeechError, at the first token and at a later one."""
    for stage in ("prefill", "step"):
        stages = {stage: lambda *args: torch.full((1, 4_003), bad)}
        with pytest.raises(SpeechError, match="log-probabilities that are not finite"):
            other(tiny, **stages).say(SHORT)


def test_c20_speed_works_in_a_stream(spelling: Pipeline) -> None:
    """Upstream stretches offline alone."""
    parts = list(spelling.stream(SHORT, speed=2.0))
    whole = spelling.say(SHORT, speed=2.0, chunked=True)

    assert same(np.concatenate([part.samples for part in parts]), whole.samples)
