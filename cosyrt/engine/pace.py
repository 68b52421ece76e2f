"""How fast a stream is made, learnt from its own chunks, and whether it may begin a chunk boundary earlier.

The first chunk of a stream ends on the first boundary that gives half a second of audio. Where there is one
before it, a second of speech need not be waited for, if what follows is made sooner than the little that is
there is heard. A machine that was slow once counts as slow until it has been fast for a while: nobody is to
hear a gap for the sake of an early beginning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from cosyrt.engine.chunks import Chunking

if TYPE_CHECKING:
    from cosyrt.engine.family import ModelSettings

MARGIN = 1.25  # of time, for what takes longer than it did
FORGETS = 0.1  # of the distance to a smaller value, each time that one is seen
READING_TOKENS = 12  # in whose time the text of a piece is read, before its first one
NEEDED = ("prefill", "step", "velocity", "vocode")  # stages of a stream that a plan must have measured
LOOKED_AHEAD = 6  # chunks; after them all hops are of the longest kind, and as much is gained with each
# stage → (size, seconds) of its calls, as a plan has them
Calls = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(slots=True)
class SlowestLately:
    """A number of seconds that rises at once and falls slowly; None before one was seen."""

    value: float | None = None

    def add(self, seconds: float) -> None:
        """Take a new value in."""
        before = self.value
        falls = before is not None and seconds < before
        self.value = before + FORGETS * (seconds - before) if before is not None and falls else seconds


@dataclass(slots=True)
class Pace:
    """Seconds that the steps of all streams of one pipeline take."""

    token: SlowestLately = field(default_factory=SlowestLately)  # mean of the tokens of a chunk
    begin: SlowestLately = field(default_factory=SlowestLately)  # from a piece's beginning to its first audio
    chunks: dict[int, SlowestLately] = field(default_factory=dict)  # by their tokens

    @classmethod
    def measured(cls, calls: Calls, settings: ModelSettings) -> Pace:
        """What a plan has measured; a pace that knows nothing where it lacks a stage that streams need."""
        chunking = settings.chunking
        if not isinstance(chunking, Chunking) or not all(calls.get(name) for name in NEEDED):
            return cls()
        pace = cls()
        pace.token.add(max(seconds for _, seconds in calls["step"]))
        for hop in (1, chunking.longest_chunks):
            tokens = hop * chunking.chunk_tokens
            pace.chunks[tokens] = SlowestLately(_chunk_s(calls, settings, tokens))
        tokens = chunking.first_tokens + chunking.chunk_tokens + chunking.lookahead_tokens
        pace.begin.add(calls["prefill"][-1][1] + pace.token_s * tokens + pace.chunk_s(chunking.chunk_tokens))
        return pace

    @property
    def is_known(self) -> bool:
        """Whether a stream was made before."""
        return None not in (self.token.value, self.begin.value) and bool(self.chunks)

    @property
    def token_s(self) -> float:
        """Seconds that a speech token takes, of a pace that is known."""
        assert self.token.value is not None
        return self.token.value

    def chunk_s(self, tokens: int) -> float:
        """Most seconds that a chunk of so many tokens takes, by those that were seen.

        A smaller chunk takes no longer, and a larger one no longer for each token. Another thread may learn
        of a size meanwhile.
        """
        known = [(size, seen.value) for size, seen in [*self.chunks.items()] if seen.value is not None]
        return min(seconds * max(1.0, tokens / size) for size, seconds in known)

    def add_chunk(self, tokens: int, seconds: float) -> None:
        """Learn how long a chunk took."""
        self.chunks.setdefault(tokens, SlowestLately()).add(seconds)


def _chunk_s(calls: Calls, settings: ModelSettings, tokens: int) -> float:
    """Seconds of a chunk: all steps of the solver, and the other stages that were measured."""
    frames, flow = settings.rates.frames(tokens), settings.flow
    mel = flow.mel_bins * frames
    velocity_s = flow.solver.steps * call_s(calls["velocity"], flow.branches * mel)
    return velocity_s + call_s(calls["vocode"], mel) + call_s(calls.get("encode", ()), tokens)


def call_s(calls: Sequence[tuple[int, float]], size: int) -> float:
    """Most seconds that a call of that size takes: those of the next larger one, else in proportion."""
    larger = [seconds for measured, seconds in calls if measured >= size]
    if larger or not calls:
        return larger[0] if larger else 0.0
    measured, seconds = calls[-1]
    return seconds * size / measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """The chunk boundaries of one stream, and how much audio there is at each."""

    chunking: Chunking
    prompt_tokens: int
    token_s: float  # of audio
    withheld_s: float  # of audio, at the end of each chunk, until what follows is there

    def audio_s(self, boundary: int) -> float:
        """Audio that can be played when the chunk that ends there is made."""
        return boundary * self.token_s - self.withheld_s

    def keep_playing(self, first: int, own: StreamPace) -> bool:
        """Whether playback from the chunk that ends at `first` on never waits, a next piece included."""
        pace = own.pace
        if pace.begin.value is None or not pace.is_known:
            return False
        following = islice(self.chunking.boundaries(self.prompt_tokens), LOOKED_AHEAD)
        token_s = MARGIN * max(pace.token_s, own.token_s)
        # The piece may end behind any boundary; what is left of it is made, then the next one begins.
        over_s = MARGIN * (pace.chunk_s(self.chunking.chunk_tokens) + pace.begin.value)
        ready_s, hop_s, hop = 0.0, 0.0, 0
        for before, after in pairwise((first, *following)):
            if ready_s + over_s > before * self.token_s:
                return False
            hop = after - before
            hop_s = hop * token_s + MARGIN * pace.chunk_s(hop)
            ready_s += hop_s
            if ready_s > self.audio_s(before):
                return False
        return hop_s <= hop * self.token_s


class StreamPace:
    """Times the steps of one stream, and teaches the pace of all."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self.pace, self.clock = pace, clock
        self.began_s = self.last_s = clock()
        self.tokens: list[float] = []  # seconds of each since the last chunk, but the first of a piece

    def begin(self) -> None:
        """Begin a piece, whose first token is there."""
        self.began_s, self.tokens = self.clock(), []
        self.last_s = self.began_s

    def token(self, number: int) -> None:
        """Note that the token of that number is there; that of the first waited for the text."""
        now = self.clock()
        if number:
            self.tokens.append(now - self.last_s)
        self.last_s = now

    @property
    def token_s(self) -> float:
        """Mean seconds of a token since the last chunk."""
        return sum(self.tokens) / max(1, len(self.tokens))

    def first_chunk(self, *, early: bool) -> None:
        """Note that the first chunk of a piece was made, and with it, maybe, the prompt of the voice.

        One that ended early says nothing of how long a piece takes that begins at the fixed boundary.
        """
        if not early:
            self.pace.begin.add(self.clock() - self.began_s + READING_TOKENS * self.token_s)
        self._go_on()

    def chunk(self, tokens: int) -> None:
        """Note that a later chunk of so many tokens was made since the last token."""
        self.pace.add_chunk(tokens, self.clock() - self.last_s)
        self._go_on()

    def _go_on(self) -> None:
        if self.tokens:
            self.pace.token.add(self.token_s)
        self.last_s, self.tokens = self.clock(), []
