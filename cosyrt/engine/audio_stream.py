"""speech tokens → audio of one request: tokens are pushed, flow and vocoder run at each chunk boundary.

Written as a generator that says what it needs before it does it, so that whoever drives it chooses when, and
takes Euler steps for many requests in one call.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.chunks import Chunking
from cosyrt.engine.family import MelStreamLike
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.need import Need
from cosyrt.engine.pace import Boundaries, StreamPace
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Outcome
from cosyrt.engine.stretch import Stretch
from cosyrt.engine.token_stream import END, TokenStream
from cosyrt.engine.vocoder_stream import Pushing, VocodeCall, VocoderStream
from cosyrt.errors import SpeechError
from cosyrt.machine.memory import freed_memory
from cosyrt.models.solver import SolverState
from cosyrt.text.split import Piece
from cosyrt.voice.transcript import syllables

log = logging.getLogger(__name__)

# RMS of 20 ms that can be heard: even a quiet voice is above it, what a model says after a transcript that
# does not fit is 8 dB below, the noise of a vocoder 50.
HEARD_LEVEL, FRAME_SAMPLES = 10 ** (-50 / 20), 480
LEAST_HEARD_FRAMES = 3  # the shortest word has five times as much
FASTEST_HEARD = 25.0  # syllables in a second of sound, pauses left out; fast speakers have 10

Steps = Generator[Need, None, None]
Taken = Generator[Need, None, int]  # returns a speech token
Give = Callable[[np.ndarray], None]  # takes samples, float32 [N]


class SpokenPiece(NamedTuple):
    """A piece of a text and when it is heard, in seconds from the beginning."""

    text: str
    begin_s: float
    end_s: float


OnPiece = Callable[[SpokenPiece], None]


def ignore(piece: SpokenPiece) -> None:
    """Take no notice of a piece that was spoken."""


Made = np.ndarray | SpokenPiece  # float32 [N] samples; a piece, after the last of its samples


class AudioStream:
    """Audio of one request; `made` holds what nobody has taken yet.

    With `begun`, the pieces that the tokens belong to, each is led by its silence and must be heard. Where it
    is not, it is made of the speech tokens that `again` gives: while it needs a piece read again, it is the
    row of `retry` that is to be read.
    """

    def __init__(
        self,
        model: Model,
        request: Request,
        condition: Condition,
        noise_rng: torch.Generator,
        begun: deque[Piece] | None = None,
        again: Callable[[str], TokenStream] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.request, self.condition = model, request, condition
        self.noise_rng, self.begun, self.again = noise_rng, begun, again
        self.made: deque[Made] = deque()
        self.samples = 0  # made so far
        self.state: SolverState | None = None  # of the chunk that is being solved
        self.call: VocodeCall | None = None  # of the vocoder, that its next samples need
        self.vocoded: Tensor | None = None  # [1, N] what came of it
        self.chunk_tokens = 0  # of the next chunk, its look-ahead left out; 0: not known
        self.missing_tokens = 0  # until it can be made; 0: not known, or there is none
        self.retry: TokenStream | None = None
        self.pace = StreamPace(condition.pace, clock)
        self._tokens: deque[int] = deque()
        self._ended = False  # no more tokens will be pushed
        self._steps = self._pieces()
        self.need = next(self._steps)

    def push(self, token: int | None) -> None:
        """Give it a speech token, or END, when it needs one; None: there is no more."""
        assert self.need is Need.TOKENS
        if token is None:
            self._ended = True
        else:
            self._tokens.append(token)
        self.advance()

    def advance(self) -> None:
        """Go on after what it needed was done: a turn of the language model, an Euler step, a vocoder call.

        Raises:
            SpeechError: the samples are not finite, or nothing can be heard of a piece, twice.
        """
        try:
            self.need = next(self._steps)
        except StopIteration:
            self.need = Need.NOTHING

    def accept(self, outcome: Outcome) -> None:
        """Take what came of reading the row of `retry`.

        Raises:
            SpeechError: no token could be picked, or as `advance`.
        """
        assert self.retry is not None
        self.retry.accept(outcome)
        self.advance()

    def close(self) -> None:
        """Drop all state; nothing more will be made."""
        self._steps.close()
        self.need, self.state = Need.NOTHING, None

    def _pieces(self) -> Steps:
        while (yield from self._more()):
            if self.begun is None:
                yield from self._piece(self._take, self._give)
            else:
                yield from self._text_piece(self.begun.popleft())
            freed_memory().give_back()
        for piece in self.begun or ():  # silence at the end of the text
            self._give(self._silence(piece.silence_s))

    def _text_piece(self, piece: Piece) -> Steps:
        """Make a piece that must be heard; silence before it leads its first samples."""
        assert self.again is not None
        silence, least = self._silence(piece.silence_s), self._least_frames(piece.text)
        held = HeldBack(silence, self._give, LEAST_HEARD_FRAMES if self.request.streamed else least)
        begin = self.samples + silence.size
        yield from self._piece(self._take, held.push)
        if not held.is_heard:
            held.drop()
            yield from self._retry(self.again(piece.text), held)
        if held.frames < least:  # the beginning of a stream was given out before its end was known
            log.warning("little can be heard of %r", piece.text[:40])
        rate = self.model.settings.rates.sample_hz
        self.made.append(SpokenPiece(piece.text, begin / rate, self.samples / rate))

    def _give(
        self,
        samples: np.ndarray,  # float32 [N]
    ) -> None:
        self.samples += samples.size
        self.made.append(samples)

    def _silence(self, seconds: float) -> np.ndarray:  # float32 [N]
        return np.zeros(round(seconds * self.model.settings.rates.sample_hz), np.float32)

    def _least_frames(self, text: str) -> int:
        """How many frames must be heard of a text, whoever speaks it."""
        frames_a_second = self.model.settings.rates.sample_hz / FRAME_SAMPLES
        spoken = frames_a_second * syllables(text) / (FASTEST_HEARD * self.request.speed)
        return max(LEAST_HEARD_FRAMES, int(spoken))

    def _more(self) -> Generator[Need, None, bool]:
        """Whether another piece begins."""
        while not (self._tokens or self._ended):
            yield Need.TOKENS
        return bool(self._tokens)

    def _take(self) -> Taken:
        while not self._tokens:
            yield Need.TOKENS
        return self._tokens.popleft()

    def _retry(self, retry: TokenStream, held: HeldBack) -> Steps:
        """Make a piece of other speech tokens; silence now is an error."""
        self.retry = retry
        try:
            yield from self._piece(self._take_again, held.push)
        finally:
            retry.close()
            self.retry = None
        if not held.is_heard:
            raise SpeechError(
                "the models gave silence instead of speech, with two seeds; check the transcript of the "
                "voice's recording, speak without it (cross_lingual), or take another voice"
            )

    def _take_again(self) -> Taken:
        assert self.retry is not None
        while not self.retry.made:
            yield Need.READ_AGAIN
        return self.retry.made.popleft()

    def _piece(self, take: Callable[[], Taken], give: Give) -> Steps:
        """Make samples of the speech tokens of one piece: flow and vocoder run at each chunk boundary."""
        chunking, piece = self.model.settings.chunking, self._begin_piece()
        prompt_tokens = self.condition.tokens.shape[1]
        boundaries = chunking.boundaries(prompt_tokens) if self.request.streamed else iter(())
        spoken, done, boundary = list[int](), 0, next(boundaries, None)
        early = self._early_boundary(prompt_tokens)
        self._expect(boundary, done, 0)
        self.pace.begin()
        while (token := (yield from take())) != END:
            self.pace.token(len(spoken))
            spoken.append(token)
            self.missing_tokens = max(0, self.missing_tokens - 1)
            there = len(spoken) - chunking.lookahead_tokens
            if early and there == early and self._keeps_playing(piece, early):
                self.chunk_tokens, self.missing_tokens = early, 0
                yield from self._chunk(piece, spoken, early, give)
                self.pace.first_chunk(early=True)
                done = early
                self._expect(boundary, done, len(spoken))
            if boundary is not None and there == boundary:
                yield from self._chunk(piece, spoken, boundary, give)
                if done:
                    self.pace.chunk(boundary - done)
                else:
                    self.pace.first_chunk(early=False)
                done, boundary = boundary, next(boundaries, None)
                self._expect(boundary, done, len(spoken))
        self.chunk_tokens, self.missing_tokens = len(spoken) - done, 0
        yield from self._chunk(piece, spoken, None, give)
        self.chunk_tokens = 0

    def _early_boundary(self, prompt_tokens: int) -> int:
        """A boundary at which a stream may begin where all that follows is made in time; 0: there is none.

        Whoever listens already gains nothing by one chunk more, and what must be the same to the last bit is
        cut alike each time.
        """
        chunking, request = self.model.settings.chunking, self.request
        if not isinstance(chunking, Chunking) or not request.streamed or self.samples:
            return 0
        if request.speed != 1 or request.exact:
            return 0
        return chunking.early_boundary(prompt_tokens)

    def _keeps_playing(self, piece: _Piece, early: int) -> bool:
        """Whether playback that begins with the chunk up to an early boundary never waits."""
        chunking, rates = self.model.settings.chunking, self.model.settings.rates
        assert isinstance(chunking, Chunking)
        boundaries = Boundaries(
            chunking=chunking,
            prompt_tokens=self.condition.tokens.shape[1],
            token_s=1 / rates.token_hz,
            withheld_s=piece.vocoder.withheld_frames * rates.samples_per_frame / rates.sample_hz,
        )
        return boundaries.keep_playing(early, self.pace)

    def _expect(self, boundary: int | None, done: int, spoken: int) -> None:
        """Note what the next chunk will need."""
        lookahead = self.model.settings.chunking.lookahead_tokens
        self.chunk_tokens = 0 if boundary is None else boundary - done
        self.missing_tokens = 0 if boundary is None else boundary + lookahead - spoken

    def _begin_piece(self) -> _Piece:
        stages, settings = self.model.stages, self.model.settings
        chunked = self.request.chunked or self.model.chunked
        return _Piece(
            settings.mel_stream(stages, settings.flow, self.condition, chunked=chunked),
            Stretch(self.request.speed),
            settings.vocoder_stream(stages, settings.vocoder, self.noise_rng),
        )

    def _chunk(self, piece: _Piece, spoken: list[int], boundary: int | None, give: Give) -> Steps:
        """Make the samples that are new up to a chunk boundary; None: all that are left."""
        yield Need.ENCODE
        mel = yield from self._solve(piece.mels.solving(spoken, boundary))
        last = boundary is None
        samples = yield from self._vocode(piece.vocoder.pushing(piece.stretch.push(mel, last), last))
        if len(samples):
            give(_finite(samples))

    def _vocode(self, pushing: Pushing) -> Generator[Need, None, Tensor]:  # [N]
        """Have the vocoder called for each call that its stream gives."""
        try:
            self.call = next(pushing)
            while True:
                yield Need.VOCODE
                assert self.vocoded is not None
                self.call = pushing.send(self.vocoded)
        except StopIteration as end:
            self.call = self.vocoded = None
            samples: Tensor = end.value
            return samples

    def _solve(
        self, solving: Generator[SolverState, None, Tensor]
    ) -> Generator[Need, None, Tensor]:  # [1, 80, M]
        """Have all steps taken of each state that a mel stream gives."""
        while True:
            try:
                self.state = next(solving)
            except StopIteration as end:
                self.state = None
                mel: Tensor = end.value
                return mel
            while not self.state.done:
                yield Need.SOLVE


class _Piece(NamedTuple):
    """The streams that one piece of text has to itself."""

    mels: MelStreamLike
    stretch: Stretch
    vocoder: VocoderStream


class HeldBack:
    """Holds samples back until so many frames of them can be heard, then gives all out."""

    def __init__(
        self,
        silence: np.ndarray,  # float32 [N] that leads them
        give: Give,
        least_frames: int = LEAST_HEARD_FRAMES,
    ) -> None:
        self.silence, self.give, self.least_frames = silence, give, least_frames
        self.held: list[np.ndarray] = []
        self.frames = 0  # that were heard
        self.is_heard = False

    def push(
        self,
        samples: np.ndarray,  # float32 [N]
    ) -> None:
        """Take the next samples."""
        self.held.append(samples)
        self.frames += heard_frames(samples)
        if self.frames >= self.least_frames:
            self.held[0] = self.held[0] if self.is_heard else np.concatenate((self.silence, self.held[0]))
            self.is_heard = True
            for each in self.held:
                self.give(each)
            self.held = []

    def drop(self) -> None:
        """Forget what is held back, and that some of it could be heard."""
        self.held, self.frames = [], 0


def heard_frames(
    samples: np.ndarray,  # float32 [N]
) -> int:
    """How many frames of the samples can be heard."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return int(np.count_nonzero(frames.std(axis=1) > HEARD_LEVEL))


def _finite(
    samples: Tensor,  # [N]
) -> np.ndarray:  # float32 [N]
    """Samples on the host.

    Raises:
        SpeechError: they are not finite.
    """
    if not torch.isfinite(samples).all():
        raise SpeechError("the models gave samples that are not finite; check the weights, or use float32")
    return samples.float().cpu().numpy()
