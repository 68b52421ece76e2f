"""What accelerations are checked and timed on: utterances of the usual lengths, spoken by the engine itself.

Every stage is run by the code that runs it in earnest (`speech_tokens`, the family's streams), so that masks,
memories and streaming are those of real use. The speech tokens are given, so that two ways to run a model
say the same.

Shapes: B batch · S places of speech tokens · V speech vocabulary with stops · M mel frames · N samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part, size_of
from cosyrt.engine.decoding import Decoder, LanguageModelInput, complete
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.rows import Rows
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.stages import Stages
from cosyrt.voice.voice import Voice

SENTENCES = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "今天天气很好，我们一起去公园散步吧。",
    "Good morning, thank you for calling; how may I help you today?",
    "请问明天早上八点的火车还有票吗？",
)
EXCITATION_SEED = 1
PROMPT_TOKENS = 75  # 3 s, as most reference clips are cut to
BLOCKS_READ, READS = 2, 6  # of text that arrives while it is spoken, and of speech tokens in each
LEAST_PER_TEXT = 3  # speech tokens a text token, so that a text is long enough for its speech
STEPS_TIMED = 4  # of the language model at the beginning, in the middle and at the end: some copy their past
EULER_STEPS_TIMED = 1  # of the solver: the others cost the same


class Length(NamedTuple):
    """How long one utterance is."""

    speech_tokens: int
    prompt_tokens: int
    chunked: bool  # streamed, boundary by boundary, or whole


# Sentences of 1.5 to 12 s, most of them 3 to 5; half of the time with a reference clip, half of it streamed.
# No length comes twice, and none is a multiple of the next: a candidate that is fast only on lengths it has
# seen, or on round ones, shows it.
TIMED_LENGTHS = (
    Length(83, 0, False),
    Length(117, PROMPT_TOKENS, True),
    Length(41, PROMPT_TOKENS, False),
    Length(152, 0, True),
    Length(97, PROMPT_TOKENS, False),
    Length(211, PROMPT_TOKENS, True),
    Length(68, 0, True),
    Length(299, 0, False),
)


class Workload:
    """Makes the utterances that one model is checked and timed on."""

    def __init__(self, model: Model) -> None:
        self.model, self.pipeline = model, Pipeline(model)

    def voice(self, prompt_tokens: int) -> Voice:
        """Make a voice with a prompt of that length; its numbers are random, in the range of real ones."""
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

    def speaker(self, voice: Voice) -> Tensor | None:  # [1, 192]
        """Speaker vector for the language model, if its family takes one."""
        if not self.model.settings.decoding.reads_speaker:
            return None
        return torch.from_numpy(voice.speaker.copy())[None].to(self.model.device)

    def utterance(self, length: Length, number: int = 0) -> WorkloadUtterance:
        """Make an utterance of that length; its speech tokens are random, with neighbours alike."""
        random = np.random.default_rng(number)
        voice = self.voice(length.prompt_tokens)
        vocabulary = self.model.settings.flow.speech_vocabulary
        speech = np.repeat(random.integers(0, vocabulary, length.speech_tokens), 2)[: length.speech_tokens]
        text = self.pipeline.tokenizer.encode(SENTENCES[number % len(SENTENCES)])
        words = -(-length.speech_tokens // LEAST_PER_TEXT)
        prompt = (text * (length.prompt_tokens // len(text) + 1))[: length.prompt_tokens // LEAST_PER_TEXT]
        return WorkloadUtterance(
            llm_input=LanguageModelInput(
                (text * (words // len(text) + 1))[:words],
                prompt,
                voice.speech_tokens.tolist(),
                self.speaker(voice),
            ),
            speech=speech.tolist(),
            voice=voice,
            chunked=length.chunked,
        )

    def spoken(self, number: int, most: int) -> WorkloadUtterance:
        """Let the model itself draw the speech tokens of a sentence, at most that many."""
        m, voice = self.model, self.voice(0)
        text = self.pipeline.tokenizer.encode(SENTENCES[number % len(SENTENCES)])
        llm_input = LanguageModelInput(text, [], [], self.speaker(voice))
        decoder, generator = complete(m.settings.decoding, llm_input), torch.Generator().manual_seed(number)
        speech = list(islice(speech_tokens(m.plain, decoder, generator, m.device), most))
        return WorkloadUtterance(llm_input=llm_input, speech=speech, voice=voice, chunked=bool(number % 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadUtterance:
    """A text, and the speech tokens that it becomes whatever runs the model."""

    llm_input: LanguageModelInput
    speech: list[int]
    voice: Voice
    chunked: bool

    def after(self, count: int) -> WorkloadUtterance:
        """Leave the rest of the utterance, its first speech tokens moved to the prompt."""
        prompt = self.llm_input.prompt_speech + self.speech[:count]
        llm_input = replace(self.llm_input, prompt_speech=prompt)
        return replace(self, llm_input=llm_input, speech=self.speech[count:])


def log_probabilities(
    model: Model,
    stages: Stages,
    utterance: WorkloadUtterance,
    steps: int,
) -> Tensor:  # [S, V]
    """Log-probabilities that the language model gives at each place of the given speech tokens."""
    return probabilities_together(model, stages, [utterance], steps)[:, 0]


def probabilities_together(
    model: Model,
    stages: Stages,
    utterances: Sequence[WorkloadUtterance],
    steps: int,
) -> Tensor:  # [S, B, V]
    """Log-probabilities at each place of the given speech tokens, one batch of all utterances."""
    config = replace(model.settings.decoding, least_per_text=1.0, most_per_text=100.0)
    decoders = [complete(config, each.llm_input) for each in utterances]
    return _forced(model, stages, decoders, [each.speech[:steps] for each in utterances])


def read_probabilities(
    model: Model,
    stages: Stages,
    utterance: WorkloadUtterance,
) -> Tensor:  # [S, V]; none where the model reads no text while it speaks
    """Log-probabilities after each read of text that arrives while it is spoken."""
    config = replace(model.settings.decoding, block_speech=READS)
    if config.fill_token is None:
        return torch.zeros(0, 1)
    decoder = Decoder(config, LanguageModelInput(utterance.llm_input.text, [], []), interleaved=True)
    decoder.end_of_text()
    return _forced(model, stages, [decoder], [utterance.speech[: BLOCKS_READ * READS]])[:, 0]


def _forced(
    model: Model, stages: Stages, decoders: Sequence[Decoder], speech: Sequence[list[int]]
) -> Tensor:  # [S, B, V]
    """Log-probabilities at each place of given speech tokens, which the decoders accept as if picked."""
    rows, found = Rows(stages, decoders[0].config, model.device, capacity=len(decoders)), []
    taken = [rows.join(decoder, torch.Generator()) for decoder in decoders]
    for tokens in zip(*speech, strict=True):
        if not all(row.left for row in taken):
            break
        found.append(rows.log_probabilities(taken))
        for decoder, token in zip(decoders, tokens, strict=True):
            decoder.accept(token)
    return torch.stack(found)


def mel_of(
    model: Model,
    stages: Stages,
    utterance: WorkloadUtterance,
    steps: int | None = None,
) -> Tensor:  # [1, 80, M]
    """Mel of the given speech tokens; with `steps`, solved in that many steps of Euler's method."""
    settings = model.settings
    config = settings.flow if steps is None else replace(settings.flow, steps=steps)
    condition = Condition.of(utterance.voice, stages, model.device)
    stream = settings.mel_stream(stages, config, condition, chunked=utterance.chunked)
    speech = utterance.speech
    return torch.cat(
        [stream.until(speech[:count], boundary) for count, boundary in chunks_of(model, utterance)], dim=2
    )


def chunks_of(model: Model, utterance: WorkloadUtterance) -> Iterator[tuple[int, int | None]]:
    """(tokens that are there, boundary up to which they become mel) of each chunk."""
    chunking = model.settings.chunking
    if utterance.chunked:
        for boundary in chunking.boundaries(len(utterance.voice.speech_tokens)):
            if boundary + chunking.lookahead_tokens >= len(utterance.speech):
                break
            yield boundary + chunking.lookahead_tokens, boundary
    yield len(utterance.speech), None


def samples_of(
    model: Model,
    stages: Stages,
    mel: Tensor,  # [1, 80, M]
) -> Tensor:  # [N]
    """Samples of a mel, with the same noise each time."""
    settings = model.settings
    noise = torch.Generator().manual_seed(EXCITATION_SEED)
    return settings.vocoder_stream(stages, settings.vocoder, noise).push(mel, True)


class StageCall(NamedTuple):
    """One call of a stage."""

    stage: str
    size: int  # as `size_of` tells it
    seconds: float


class TimedStages:
    """Stages of which one part is timed, call by call."""

    def __init__(
        self,
        stages: Stages,
        part: Part,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.calls: list[StageCall] = []
        self.clock, self.device = clock, device
        names = [name for name in PARTS[part] if name != "new_cache"]
        self.stages = stages.replacing(**{name: self.timed(name, getattr(stages, name)) for name in names})

    def timed(self, name: str, stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap a stage so that each call is noted when its result is there."""

        def call(*args: Any) -> Tensor:
            settle(self.device)
            begin = self.clock()
            out = stage(*args)
            settle(self.device)
            self.calls.append(StageCall(name, size_of(name, args), self.clock() - begin))
            return out

        return call


def settle(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def stage_calls(
    model: Model,
    stages: Stages,
    part: Part,
    utterance: WorkloadUtterance,
    clock: Callable[[], float] = time.perf_counter,
) -> list[StageCall]:
    """Time the calls of one part while an utterance is spoken; of like calls only a few."""
    if part == "llm":
        return list(language_calls(model, stages, utterance, clock))
    timed = TimedStages(stages, part, model.device, clock)
    if part == "vocode":
        samples_of(model, timed.stages, even_mel(model, utterance))
    else:
        mel_of(model, timed.stages, utterance, EULER_STEPS_TIMED)
    return timed.calls


def even_mel(model: Model, utterance: WorkloadUtterance) -> Tensor:  # [1, 80, M]
    """A mel as long as an utterance, of one value: what is in it does not matter to the time."""
    frames = model.settings.rates.frames(len(utterance.speech))
    return torch.full((1, model.settings.flow.mel_bins, frames), -6.0, device=model.device)


def language_calls(
    model: Model,
    stages: Stages,
    utterance: WorkloadUtterance,
    clock: Callable[[], float],
    streams: int = 1,
) -> Iterator[StageCall]:
    """Time a few steps at the beginning, in the middle and at the end, of so many streams in one batch."""
    last = max(0, len(utterance.speech) - 1 - STEPS_TIMED)
    for place in sorted({0, last // 2, last}):
        timed = TimedStages(stages, "llm", model.device, clock)
        probabilities_together(model, timed.stages, [utterance.after(place)] * streams, 1 + STEPS_TIMED)
        yield from (call for call in timed.calls if not place or call.stage != "prefill")


def seconds_of(model: Model, part: Part, utterance: WorkloadUtterance, calls: list[StageCall]) -> float:
    """Seconds of a part for the whole utterance, with the like calls that were left out."""
    total = sum(call.seconds for call in calls)
    if part == "velocity":
        return total * model.settings.flow.steps / EULER_STEPS_TIMED
    if part != "llm":
        return total
    steps = [call.seconds for call in calls if call.stage == "step"]
    return total + sum(steps) / max(1, len(steps)) * (len(utterance.speech) - 1 - len(steps))


def part_seconds(model: Model, stages: Stages, part: Part, utterance: WorkloadUtterance) -> float:
    """Run one part of an utterance, and give the seconds that it takes for all of it."""
    return seconds_of(model, part, utterance, stage_calls(model, stages, part, utterance))
