"""What accelerations are checked and timed on: utterances of the usual lengths, spoken by the engine itself.

Every stage is run by the code that runs it in earnest (`speech_tokens`, the family's mels and sound), so
that masks, memories and streaming are those of real use. The speech tokens are given, so that two ways to run
a model say the same.
Shapes: B batch (1 here) · V speech vocabulary with stops · M mel frames · N samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part, size_of
from cosyrt.engine.decoding import Decoder, LanguageModelInput, Pause, complete
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.speech_tokens import Reader, speech_tokens
from cosyrt.engine.stages import Stages
from cosyrt.voice.voice import Voice

TEXTS = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "今天天气很好，我们一起去公园散步吧。",
    "Good morning, thank you for calling; how may I help you today?",
    "请问明天早上八点的火车还有票吗？",
)
NOISE_SEED = 1
PROMPT_TOKENS = 75  # 3 s, as most reference clips are cut to
BLOCKS_READ, READS = 2, 6  # of text that arrives while it is spoken, and of speech tokens in each
LEAST_PER_TEXT = 3  # speech tokens a text token, so that a text is long enough for its speech


class Length(NamedTuple):
    """How long one utterance is."""

    speech_tokens: int
    prompt_tokens: int
    chunked: bool  # streamed, edge by edge, or whole


# Sentences of 1.5 to 12 s, most of them 3 to 5; half of the time with a reference clip, half of it streamed.
# No length comes twice, and none is a multiple of the next: whoever is fast only on lengths that he has seen,
# or on round ones, shows it.
LENGTHS = (
    Length(83, 0, False),
    Length(117, PROMPT_TOKENS, True),
    Length(41, PROMPT_TOKENS, False),
    Length(152, 0, True),
    Length(97, PROMPT_TOKENS, False),
    Length(211, PROMPT_TOKENS, True),
    Length(68, 0, True),
    Length(299, 0, False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A loaded model that is to be measured."""

    pipeline: Pipeline

    @classmethod
    def open(cls, folder: str | None, device: str | None) -> Subject:
        """Load a model folder; None is the built-in voice.

        Raises:
            ModelError: it cannot be used. UsageError: no such device.
        """
        return cls(pipeline=Pipeline(Model.open(folder, device)))

    @property
    def model(self) -> Model:
        """The loaded model."""
        return self.pipeline.model

    @property
    def plain(self) -> Stages:
        """The eager stages."""
        return self.model.plain

    def voice(self, prompt_tokens: int) -> Voice:
        """A voice with a prompt of that length; its numbers are random, in the range of real ones."""
        random = np.random.default_rng(prompt_tokens)
        flow = self.model.settings.flow
        frames = self.model.settings.rates.frames(prompt_tokens)
        known = next(iter(self.pipeline.voices.values()), None)
        alike = random.standard_normal(flow.speaker_width, np.float32)
        mel = -6.0 + 2.0 * random.standard_normal((frames, flow.mel_bins), np.float32)
        return Voice(
            name="measured",
            speaker=alike if known is None else known.speaker,
            speech_tokens=random.integers(0, flow.speech_vocabulary, prompt_tokens),
            mel=mel,
            family=self.pipeline.family,
        )

    def heard(self, voice: Voice) -> Tensor | None:  # [1, 192]
        """The speaker, if the language model is to hear it."""
        if not self.model.settings.speaking.hears_speaker:
            return None
        return torch.from_numpy(voice.speaker.copy())[None].to(self.model.device)

    def utterance(self, length: Length, number: int = 0) -> Utterance:
        """An utterance of that length; its speech tokens are drawn at random, with neighbours alike."""
        random = np.random.default_rng(number)
        voice = self.voice(length.prompt_tokens)
        kinds = self.model.settings.flow.speech_vocabulary
        speech = np.repeat(random.integers(0, kinds, length.speech_tokens), 2)[: length.speech_tokens]
        text = self.pipeline.tokenizer.encode(TEXTS[number % len(TEXTS)])
        words = -(-length.speech_tokens // LEAST_PER_TEXT)
        prompt = (text * (length.prompt_tokens // len(text) + 1))[: length.prompt_tokens // LEAST_PER_TEXT]
        return Utterance(
            saying=LanguageModelInput(
                (text * (words // len(text) + 1))[:words],
                prompt,
                voice.speech_tokens.tolist(),
                self.heard(voice),
            ),
            speech=speech.tolist(),
            voice=voice,
            chunked=length.chunked,
        )

    def spoken(self, number: int, most: int) -> Utterance:
        """An utterance whose speech tokens, at most that many, the model itself draws from a text."""
        p = self.pipeline
        voice = self.voice(0)
        saying = LanguageModelInput(p.tokenizer.encode(TEXTS[number % len(TEXTS)]), [], [], self.heard(voice))
        decoder, draw = complete(p.model.settings.speaking, saying), torch.Generator().manual_seed(number)
        speech = list(islice(speech_tokens(p.model.stages, decoder, draw, p.model.device), most))
        return Utterance(saying=saying, speech=speech, voice=voice, chunked=bool(number % 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is said, and the speech tokens it becomes whoever says it."""

    saying: LanguageModelInput
    speech: list[int]
    voice: Voice
    chunked: bool

    def after(self, count: int) -> Utterance:
        """The rest of it, once so many of its speech tokens have been said."""
        said = self.saying.prompt_speech + self.speech[:count]
        return replace(self, saying=replace(self.saying, prompt_speech=said), speech=self.speech[count:])


def log_probabilities(
    subject: Subject,
    stages: Stages,
    said: Utterance,
    steps: int,
) -> Tensor:  # [steps, V]
    """What the language model expects at each place of the given speech tokens."""
    p = subject.pipeline
    heard: list[Tensor] = []
    given = iter(said.speech)

    def force(stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def forced(*args: Any) -> Tensor:
            heard.append(stage(*args))
            only = torch.full_like(heard[-1], float("-inf"))
            only[:, next(given)] = 0.0
            return only

        return forced

    forced = stages._replace(prefill=force(stages.prefill), step=force(stages.step))
    config = replace(p.model.settings.speaking, least_per_text=1.0, most_per_text=100.0)
    decoder, draw = complete(config, said.saying), torch.Generator().manual_seed(0)
    for _ in islice(speech_tokens(forced, decoder, draw, p.model.device), min(steps, len(said.speech))):
        pass
    return torch.cat(heard)


def read_probabilities(
    subject: Subject,
    stages: Stages,
    said: Utterance,
) -> Tensor:  # [reads, V]; none where the model reads no text while it speaks
    """What the language model expects after each read of text that arrives while it is spoken."""
    config = replace(subject.model.settings.speaking, block_speech=READS)
    if config.fill_token is None:
        return torch.zeros(0, 1)
    decoder = Decoder(config, LanguageModelInput(said.saying.text, [], []), interleaved=True)
    decoder.end_of_text()
    reader = Reader(stages, subject.model.device)
    heard: list[Tensor] = []
    for number in said.speech[: BLOCKS_READ * READS]:
        given = decoder.next_input()
        assert not isinstance(given, Pause)
        heard.append(reader.read(given))
        decoder.accept(number)
    return torch.cat(heard)


def mel_of(
    subject: Subject,
    stages: Stages,
    said: Utterance,
    steps: int | None = None,
) -> Tensor:  # [1, 80, M]
    """The mel of the given speech tokens; with `steps`, solved in that many steps of Euler's method."""
    p = subject.pipeline
    d = p.model.settings
    config = d.flow if steps is None else replace(d.flow, steps=steps)
    stream = d.mel_stream(
        stages, config, Condition.of(said.voice, stages, p.model.device), chunked=said.chunked
    )
    return torch.cat([stream.until(said.speech[:count], edge) for count, edge in _cuts(subject, said)], dim=2)


def _cuts(subject: Subject, said: Utterance) -> Iterator[tuple[int, int | None]]:
    """(tokens that are there, edge up to which they become mel) of each chunk."""
    chunking = subject.model.settings.chunking
    if said.chunked:
        for edge in chunking.edges(len(said.voice.speech_tokens)):
            if edge + chunking.lookahead_tokens >= len(said.speech):
                break
            yield edge + chunking.lookahead_tokens, edge
    yield len(said.speech), None


def samples_of(
    subject: Subject,
    stages: Stages,
    mel: Tensor,  # [1, 80, M]
) -> Tensor:  # [N]
    """The sound of a mel, its noise always the same."""
    d = subject.model.settings
    return d.vocoder_stream(stages, d.vocoder, torch.Generator().manual_seed(NOISE_SEED)).push(mel, True)


class Call(NamedTuple):
    """One call of a stage."""

    stage: str
    size: int  # as `size_of` tells it
    seconds: float


class Clock:
    """Stages of which one part is timed, call by call."""

    def __init__(
        self,
        stages: Stages,
        part: Part,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.calls: list[Call] = []
        self.clock = clock
        self.device = device
        names = [name for name in PARTS[part] if name != "new_cache"]
        self.stages = stages.wrapped(**{name: self.timed(name, getattr(stages, name)) for name in names})

    def timed(self, name: str, stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The stage, each call of which is written down when its result is there."""

        def call(*args: Any) -> Tensor:
            self.settle()
            begin = self.clock()
            out = stage(*args)
            self.settle()
            self.calls.append(Call(name, size_of(name, args), self.clock() - begin))
            return out

        return call

    def settle(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


STEPS_TIMED = 4  # of the language model at the beginning, in the middle and at the end: some copy their past
EULER_TIMED = 1  # of the solver: the others cost the same


def calls_of(
    subject: Subject,
    stages: Stages,
    part: Part,
    said: Utterance,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Call]:
    """The calls of one part while an utterance is said, each with its time; of like calls only a few."""
    p = subject.pipeline
    if part == "llm":
        return list(_language_calls(subject, stages, said, clock))
    timed = Clock(stages, part, p.model.device, clock)
    if part == "vocode":
        frames = p.model.settings.rates.frames(len(said.speech))
        mel = torch.full((1, p.model.settings.flow.mel_bins, frames), -6.0, device=p.model.device)
        samples_of(subject, timed.stages, mel)
    else:
        mel_of(subject, timed.stages, said, EULER_TIMED)
    return timed.calls


def _language_calls(
    subject: Subject, stages: Stages, said: Utterance, clock: Callable[[], float]
) -> Iterator[Call]:
    last = max(0, len(said.speech) - 1 - STEPS_TIMED)
    for place in sorted({0, last // 2, last}):
        timed = Clock(stages, "llm", subject.model.device, clock)
        log_probabilities(subject, timed.stages, said.after(place), 1 + STEPS_TIMED)
        yield from (call for call in timed.calls if not place or call.stage != "prefill")


def seconds_of(subject: Subject, part: Part, said: Utterance, calls: list[Call]) -> float:
    """What the part takes for the whole utterance, with the like calls that were left out."""
    total = sum(call.seconds for call in calls)
    if part == "velocity":
        return total * subject.model.settings.flow.steps / EULER_TIMED
    if part != "llm":
        return total
    steps = [call.seconds for call in calls if call.stage == "step"]
    return total + sum(steps) / max(1, len(steps)) * (len(said.speech) - 1 - len(steps))
