"""One utterance: its voice, its random numbers, the way it is cut, and all state that lasts as long as it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from itertools import chain, takewhile
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
import torch

from cosyrt.engine.decoding import Decoder, LanguageModelInput, complete
from cosyrt.engine.prefetch import ahead
from cosyrt.engine.prompts import SpeakingStyle, prompt_of
from cosyrt.engine.speech_tokens import speech_tokens, without_long_silence
from cosyrt.engine.stretch import Stretch
from cosyrt.errors import SpeechError, UsageError
from cosyrt.text.arriving import utterances
from cosyrt.voice.voice import Voice

if TYPE_CHECKING:
    from cosyrt.engine.pipeline import Pipeline

TOKENS_AHEAD = 500  # 20 s of speech tokens may wait for the flow
MIN_SPEED, MAX_SPEED = 0.5, 2.0
SEEDS = 2**64
LONG, LONGEST = 400, 800  # characters of an utterance that is spoken while it is written
END = -1  # follows the speech tokens of a piece, so that its last chunk need not wait for the next piece


class Session:
    """One call of `say`, `stream` or `convert`: the voice, the random numbers, the way it is cut."""

    def __init__(
        self,
        pipeline: Pipeline,
        voice: Voice,
        speed: float,
        seed: int,
        *,
        chunked: bool,
        edges: bool,
        style: SpeakingStyle | None = None,
    ) -> None:
        _check(speed, seed)
        self.pipeline, self.voice, self.speed = pipeline, voice, float(speed)
        self.chunked, self.edges = chunked, edges
        self.drawing = torch.Generator().manual_seed(int(seed))
        self.noise = torch.Generator().manual_seed(int(seed))
        self.condition = pipeline.conditions.of(voice)
        self.prompt = prompt_of(voice, style or SpeakingStyle(), pipeline.tokenizer.encode)

    def run(self, pieces: Iterator[str]) -> Generator[np.ndarray, None, None]:  # float32 [N] each
        """Audio of all pieces: one array a piece, or one a chunk where edges are wanted."""
        yield from self.sound(self.tokens(pieces))

    def sound(self, tokens: Generator[int, None, None]) -> Generator[np.ndarray, None, None]:
        """The same of speech tokens, END after each piece of them."""
        if self.pipeline.overlap:
            tokens = ahead(tokens, TOKENS_AHEAD)
        with contextlib.closing(tokens):
            for first in tokens:
                yield from self.piece(takewhile(lambda token: token != END, chain([first], tokens)))

    def tokens(self, pieces: Iterator[str]) -> Generator[int, None, None]:
        """Speech tokens of one piece after another, END after each."""
        m, encode = self.pipeline.model, self.pipeline.tokenizer.encode
        for piece in pieces:
            text = encode(piece)
            decoder = complete(m.settings.speaking, self.given(text))
            spoken = speech_tokens(m.stages, decoder, self.drawing, m.device)
            yield from without_long_silence(spoken, m.settings.speaking)
            yield END

    def given(self, text: list[int]) -> LanguageModelInput:
        """Text tokens and the prompt, as the language model is given them."""
        prompt = self.prompt
        return LanguageModelInput(text, prompt.text, prompt.speech, self.speaker(), prompt.opening_tokens)

    def speaker(self) -> torch.Tensor | None:  # [1, 192]
        """The speaker vector, if the language model is to hear it."""
        model = self.pipeline.model
        if not (model.settings.speaking.hears_speaker and self.prompt.with_speaker):
            return None
        return torch.from_numpy(self.voice.speaker.copy())[None].to(model.device)

    def interleave(self, words: Iterator[str]) -> Generator[np.ndarray, None, None]:  # float32 [N] each
        """Audio of whole words, read while they are spoken."""
        yield from self.sound(self.interleaved_tokens(words))

    def interleaved_tokens(self, words: Iterator[str]) -> Generator[int, None, None]:
        """Speech tokens of one utterance after another, END after each."""
        m, encode = self.pipeline.model, self.pipeline.tokenizer.encode
        for utterance in utterances(words, least=LONG, most=LONGEST):
            decoder = Decoder(m.settings.speaking, self.given([]), interleaved=True)
            text = chain.from_iterable(map(encode, utterance))
            spoken = speech_tokens(m.stages, decoder, self.drawing, m.device, text)
            yield from without_long_silence(spoken, m.settings.speaking)
            yield END

    def convert(self, parts: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:  # float32 [N] each
        """Audio of the speech tokens of a recording, each part [S] of it one piece."""
        yield from self.sound(number for part in parts for number in (*part.tolist(), END))

    def piece(self, tokens: Iterator[int]) -> Iterator[np.ndarray]:  # float32 [N] each
        """Audio of one piece: flow and vocoder run whenever the tokens reach an edge."""
        stages, settings = self.pipeline.model.stages, self.pipeline.model.settings
        chunking = settings.chunking
        mels = settings.mel_stream(stages, settings.flow, self.condition, chunked=self.chunked)
        sound = settings.vocoder_stream(stages, settings.vocoder, self.noise)
        stretch = Stretch(self.speed)
        spoken: list[int] = []
        edges = chunking.edges(len(self.voice.speech_tokens)) if self.edges else iter(())
        edge = next(edges, None)
        for token in tokens:
            spoken.append(token)
            if edge is not None and len(spoken) == edge + chunking.lookahead_tokens:
                yield from _audible(sound.push(stretch.push(mels.until(spoken, edge), False), False))
                edge = next(edges, None)
        yield from _audible(sound.push(stretch.push(mels.until(spoken, None), True), True))


def _check(speed: object, seed: object) -> None:
    """Both as numbers in their range; NumPy's are numbers too."""
    if not (isinstance(speed, Real) and MIN_SPEED <= float(speed) <= MAX_SPEED):
        raise UsageError(f"speed {speed!r} is out of range; choose {MIN_SPEED:g} to {MAX_SPEED:g}")
    if not (isinstance(seed, Integral) and 0 <= int(seed) < SEEDS):
        raise UsageError(f"seed {seed!r} is out of range; choose a whole number from 0 to 2**64 - 1")


def _audible(
    samples: torch.Tensor,  # [N]
) -> Iterator[np.ndarray]:  # float32 [N], if there are any
    if not torch.isfinite(samples).all():
        raise SpeechError("the models gave samples that are not finite; check the weights, or use float32")
    if len(samples):
        yield samples.float().cpu().numpy()
