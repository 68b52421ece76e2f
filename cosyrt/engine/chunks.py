"""Where a stream is cut: chunk boundaries in tokens. Arithmetic only, no tensors.

CosyVoice 2 and 3 were trained with a mask of fixed chunks, counted from the first token of the prompt. A cut
on a chunk boundary is exact: nothing to its left can change any more, as long as the few tokens of look-ahead
are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HOP_S, LONGEST_HOP_S = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """Chunk boundaries on the grid of the chunk mask.

    The first chunk ends on the first boundary that gives at least `first_tokens`; each later hop is `growth`
    times the one before, up to `longest_chunks`: a longer hop costs less per token and waits longer.
    """

    chunk_tokens: int = 25
    lookahead_tokens: int = 3
    first_tokens: int = 12
    growth: int = 2
    longest_chunks: int = 4

    def first_boundary(self, prompt_tokens: int) -> int:
        """End of the first chunk, in tokens after the prompt: 12 at best, 36 at worst."""
        boundary = -prompt_tokens % self.chunk_tokens
        return boundary if boundary >= self.first_tokens else boundary + self.chunk_tokens

    def early_boundary(self, prompt_tokens: int) -> int:
        """The boundary before the first one, for those who make what follows in time; 0: there is none."""
        return max(0, self.first_boundary(prompt_tokens) - self.chunk_tokens)

    def boundaries(self, prompt_tokens: int) -> Iterator[int]:
        """Ends of all chunks, in tokens after the prompt; endless."""
        boundary, hop = self.first_boundary(prompt_tokens), 1
        while True:
            yield boundary
            boundary += hop * self.chunk_tokens
            hop = min(hop * self.growth, self.longest_chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChunking:
    """Windows of CosyVoice 1: one every `hop_tokens`, each hop `growth` times the one before."""

    hop_tokens: int = 100
    growth: float = 1.0  # a longer hop sounds better, costs less a token and waits longer
    longest_tokens: int = 200
    lookahead_tokens: int = 20  # the overlap: what a window is given beyond its hop

    @classmethod
    def at(cls, token_hz: int) -> WindowChunking:
        """Upstream's windows: hops of 2 s that may grow to 4, and 20 tokens of overlap."""
        return cls(hop_tokens=HOP_S * token_hz, longest_tokens=LONGEST_HOP_S * token_hz)

    def first_boundary(self, prompt_tokens: int) -> int:
        """End of the first hop, in tokens after the prompt, whatever its length."""
        return self.hop_tokens

    def boundaries(self, prompt_tokens: int) -> Iterator[int]:
        """Ends of all hops, in tokens after the prompt, whatever its length; endless."""
        boundary = hop = self.hop_tokens
        while True:
            yield boundary
            hop = min(int(hop * self.growth), self.longest_tokens)
            boundary += hop
