"""One request while it is spoken: its voice, its random numbers, and all state that lasts as long as it."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, takewhile
from typing import NamedTuple

import numpy as np
import torch

from cosyrt.engine.decoding import Decoder, LanguageModelInput, complete
from cosyrt.engine.lost_words import loses_words, smaller_pieces
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.prefetch import prefetch
from cosyrt.engine.prompts import EncodeText, prompt_of
from cosyrt.engine.request import Request
from cosyrt.engine.speech_tokens import speech_tokens, without_long_silence
from cosyrt.engine.stretch import Stretch
from cosyrt.errors import SpeechError
from cosyrt.text.arriving import utterances
from cosyrt.text.normalize import is_speakable
from cosyrt.text.split import Piece
from cosyrt.voice.voice import Voice

PREFETCHED_TOKENS = 500  # 20 s of speech tokens may wait for the flow
LONG, LONGEST = 400, 800  # characters of an utterance that is spoken while it is written
log = logging.getLogger(__name__)

HEARD_LEVEL, HEARD_SAMPLES = 10 ** (-70 / 20), 480  # RMS of 20 ms

END = -1  # follows the speech tokens of a piece, so that its last chunk need not wait for the next piece

SampleArrays = Generator[np.ndarray, None, None]  # float32 [N] each


class SpokenPiece(NamedTuple):
    """A piece of a text and when it is heard, in seconds from the beginning."""

    text: str
    begin_s: float
    end_s: float


OnPiece = Callable[[SpokenPiece], None]


def ignore(piece: SpokenPiece) -> None:
    """Take no notice of a piece that was spoken."""


class Utterance:
    """The state of one request: of nothing else, so that any number of them may be spoken at once.

    With `overlap` the language model runs in a thread of its own, ahead of flow and vocoder.
    """

    def __init__(
        self,
        model: Model,
        request: Request,
        voice: Voice,
        condition: Condition,
        encode: EncodeText,
        *,
        overlap: bool,
    ) -> None:
        self.model, self.request, self.voice, self.condition = model, request, voice, condition
        self.encode, self.overlap = encode, overlap
        self.prompt = prompt_of(voice, request.style, encode)
        self.sampling_rng = torch.Generator().manual_seed(request.seed)
        self.noise_rng = torch.Generator().manual_seed(request.seed)
        self.pieces_losing_words = 0
        self.samples = 0  # given out so far

    def speak(self, pieces: Iterator[Piece], on_piece: OnPiece = ignore) -> SampleArrays:
        """Audio of the pieces of a text: one array a piece, or one a chunk where it is streamed.

        `on_piece` is told of each piece when its last audio has been given out.

        Raises:
            SpeechError: nothing can be heard of a piece, twice.
        """
        begun: deque[Piece] = deque()

        def noted() -> Iterator[str]:
            for piece in pieces:
                begun.append(piece)
                if piece.text:
                    yield piece.text

        yield from self.audio(self.tokens_of_pieces(noted()), begun, on_piece)
        for piece in begun:  # silence at the end of the text
            yield self.silence(piece.silence_s)

    def count(self, text: str) -> int:
        """How many text tokens a piece has; it is encoded once, for this and for speaking it."""
        return len(self.encode(text))

    def interleave(self, words: Iterator[str]) -> SampleArrays:
        """Audio of a text that is read word by word while it is spoken."""
        yield from self.audio(self.tokens_of_words(words))

    def convert(self, parts: Iterator[np.ndarray]) -> SampleArrays:
        """Audio of the speech tokens of a recording, each part [S] of it one piece."""
        yield from self.audio(number for part in parts for number in (*part.tolist(), END))

    def audio(
        self,
        tokens: Generator[int, None, None],
        begun: deque[Piece] | None = None,
        on_piece: OnPiece = ignore,
    ) -> SampleArrays:
        """Audio of speech tokens, with END after those of each piece.

        With `begun`, the pieces that they belong to, each is led by its silence and must be heard: where it
        is not, it is spoken again.
        """
        if self.overlap:
            tokens = prefetch(tokens, PREFETCHED_TOKENS)
        with contextlib.closing(tokens):
            for first in tokens:
                samples = self.piece(takewhile(lambda token: token != END, chain([first], tokens)))
                if begun is None:
                    yield from samples
                else:
                    yield from self.timed(begun.popleft(), samples, on_piece)

    def timed(
        self,
        piece: Piece,
        samples: Iterator[np.ndarray],  # float32 [N] each
        on_piece: OnPiece,
    ) -> Iterator[np.ndarray]:
        """Lead the samples of a piece with its silence, and tell when it was spoken."""
        spoken = heard(samples, self.piece(self.again(piece.text)))
        self.samples += (silence := self.silence(piece.silence_s)).size
        begin = self.samples
        for number, chunk in enumerate(spoken):
            self.samples += chunk.size
            yield chunk if number or not silence.size else np.concatenate((silence, chunk))
        rate = self.model.settings.rates.sample_hz
        on_piece(SpokenPiece(piece.text, begin / rate, self.samples / rate))

    def silence(self, seconds: float) -> np.ndarray:  # float32 [N]
        """Samples of silence."""
        return np.zeros(round(seconds * self.model.settings.rates.sample_hz), np.float32)

    def again(self, piece: str) -> Iterator[int]:
        """Other speech tokens of a piece, drawn with another seed."""
        log.warning("nothing can be heard of %r; it is said again with another seed", piece[:40])
        rng = torch.Generator().manual_seed((self.request.seed + 1) % 2**64)
        given = self.language_model_input(self.encode(piece))
        decoder = complete(self.model.settings.decoding, given)
        yield from speech_tokens(self.model.stages, decoder, rng, self.model.device)

    def tokens_of_pieces(self, pieces: Iterator[str]) -> Generator[int, None, None]:
        """Speech tokens of one piece after another, END after each."""
        for piece in pieces:
            yield from self.tokens_of_piece(piece)

    def tokens_of_piece(self, piece: str, *, is_part: bool = False) -> Iterator[int]:
        """Speech tokens of a piece, then END; one that loses words is spoken again in smaller pieces, once.

        In chunks the beginning is heard by then: there a loss is only logged.
        """
        text = self.encode(piece)
        tokens = self.tokens_of(complete(self.model.settings.decoding, self.language_model_input(text)))
        if self.model.settings.pronunciation is None or is_part:
            yield from tokens
            return
        kept: list[int] = []
        for token in tokens:
            kept.append(token)
            if self.request.chunked:
                yield token
        lost = loses_words(piece, len(text), len(kept) - 1)
        if lost:
            self.pieces_losing_words += 1
            log.warning("some words of %r were not spoken", piece[:40])
        if not self.request.chunked:
            yield from self.tokens_of_parts(piece) if lost else kept

    def tokens_of_parts(self, piece: str) -> Iterator[int]:
        """Speech tokens of a piece that is spoken in smaller ones, then END."""
        for part in smaller_pieces(piece, is_speakable):
            yield from takewhile(lambda token: token != END, self.tokens_of_piece(part, is_part=True))
        yield END

    def tokens_of_words(self, words: Iterator[str]) -> Generator[int, None, None]:
        """Speech tokens of one utterance after another, each read while it is spoken; END after each."""
        for utterance in utterances(words, least=LONG, most=LONGEST):
            given = self.language_model_input([])
            decoder = Decoder(self.model.settings.decoding, given, interleaved=True)
            yield from self.tokens_of(decoder, chain.from_iterable(map(self.encode, utterance)))

    def tokens_of(self, decoder: Decoder, text: Iterable[int] = ()) -> Iterator[int]:
        """Speech tokens that a decoder gives, then END."""
        model = self.model
        spoken = speech_tokens(model.stages, decoder, self.sampling_rng, model.device, text)
        yield from without_long_silence(spoken, model.settings.decoding)
        yield END

    def language_model_input(self, text: list[int]) -> LanguageModelInput:
        """Text tokens and the prompt, as the language model is given them."""
        prompt = self.prompt
        return LanguageModelInput(text, prompt.text, prompt.speech, self.speaker(), prompt.opening_tokens)

    def speaker(self) -> torch.Tensor | None:  # [1, 192]
        """The speaker vector, if the language model is to be given it."""
        if not (self.model.settings.decoding.reads_speaker and self.prompt.with_speaker):
            return None
        return torch.from_numpy(self.voice.speaker.copy())[None].to(self.model.device)

    def piece(self, tokens: Iterator[int]) -> Iterator[np.ndarray]:  # float32 [N] each
        """Audio of the speech tokens of one piece: flow and vocoder run at each chunk boundary."""
        stages, settings = self.model.stages, self.model.settings
        chunking = settings.chunking
        mels = settings.mel_stream(stages, settings.flow, self.condition, chunked=self.request.chunked)
        vocoder = settings.vocoder_stream(stages, settings.vocoder, self.noise_rng)
        stretch = Stretch(self.request.speed)
        boundaries = chunking.boundaries(len(self.voice.speech_tokens)) if self.request.streamed else iter(())
        boundary = next(boundaries, None)
        spoken: list[int] = []
        for token in tokens:
            spoken.append(token)
            if boundary is not None and len(spoken) == boundary + chunking.lookahead_tokens:
                yield from _finite(vocoder.push(stretch.push(mels.until(spoken, boundary), False), False))
                boundary = next(boundaries, None)
        yield from _finite(vocoder.push(stretch.push(mels.until(spoken, None), True), True))


def heard(
    samples: Iterable[np.ndarray],  # float32 [N] each
    again: Iterable[np.ndarray],
) -> Iterator[np.ndarray]:
    """The samples, held back until one can be heard; those of `again` where none can.

    Raises:
        SpeechError: nothing can be heard of either.
    """
    for attempt in iter(samples), iter(again):
        silent: list[np.ndarray] = []
        for chunk in attempt:
            silent.append(chunk)
            if is_heard(chunk):
                yield from silent
                yield from attempt
                return
    raise SpeechError(
        "the models gave silence instead of speech, with two seeds; check the transcript of the voice's "
        "recording, speak without it (cross_lingual), or take another voice"
    )


def is_heard(
    samples: np.ndarray,  # float32 [N]
) -> bool:
    """Whether any part of the samples is louder than silence; the noise of a vocoder is 30 dB below that."""
    ends = range(HEARD_SAMPLES, max(HEARD_SAMPLES, len(samples)) + 1, HEARD_SAMPLES)
    return any(samples[end - HEARD_SAMPLES : end].std() > HEARD_LEVEL for end in ends if len(samples))


def _finite(
    samples: torch.Tensor,  # [N]
) -> Iterator[np.ndarray]:  # float32 [N], if there are any
    if not torch.isfinite(samples).all():
        raise SpeechError("the models gave samples that are not finite; check the weights, or use float32")
    if len(samples):
        yield samples.float().cpu().numpy()
