"""Where a stream may be cut: tokens, mel frames and samples of the next chunk. Arithmetic only, no tensors.

CosyVoice 2 was trained with a mask of fixed chunks counted from the first token of the prompt. A cut on such
an edge is exact: nothing to its left can change any more, as long as the few tokens of look-ahead are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """How a stream is cut.

    The first chunk ends on the first edge that gives at least `first_tokens`; each later hop is `growth`
    times the one before, up to `longest_chunks`: a longer hop costs less per token and waits longer.
    """

    chunk_tokens: int = 25
    lookahead_tokens: int = 3
    first_tokens: int = 12
    growth: int = 2
    longest_chunks: int = 4

    def first_edge(self, prompt_tokens: int) -> int:
        """End of the first chunk, in tokens after the prompt: 12 at best, 36 at worst."""
        edge = -prompt_tokens % self.chunk_tokens
        return edge if edge >= self.first_tokens else edge + self.chunk_tokens

    def edges(self, prompt_tokens: int) -> Iterator[int]:
        """Ends of the chunks, in tokens after the prompt; endless."""
        edge, hop = self.first_edge(prompt_tokens), 1
        while True:
            yield edge
            edge += hop * self.chunk_tokens
            hop = min(hop * self.growth, self.longest_chunks)
