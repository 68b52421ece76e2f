"""Where a stream is cut."""

from __future__ import annotations

from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.chunks import Chunking

CHUNKINGS = st.builds(
    Chunking,
    chunk_tokens=st.integers(1, 60),
    first_tokens=st.integers(1, 25),
    growth=st.integers(1, 4),
    longest_chunks=st.integers(1, 9),
).filter(lambda chunking: chunking.first_tokens <= chunking.chunk_tokens)


@given(CHUNKINGS, st.integers(0, 800))
def test_edges_lie_on_the_grid(chunking: Chunking, prompt: int) -> None:
    """Counted from the first token of the prompt, every boundary is a whole number of chunks."""
    assert {
        (prompt + boundary) % chunking.chunk_tokens for boundary in islice(chunking.boundaries(prompt), 12)
    } == {0}


@given(CHUNKINGS, st.integers(0, 800))
def test_the_first_boundary_is_the_first_that_is_long_enough(chunking: Chunking, prompt: int) -> None:
    """The first chunk has at least `first_tokens`, and no shorter one on the grid would."""
    first = next(chunking.boundaries(prompt))

    assert chunking.first_tokens <= first < chunking.first_tokens + chunking.chunk_tokens


@given(CHUNKINGS, st.integers(0, 800))
def test_hops_grow_up_to_the_longest(chunking: Chunking, prompt: int) -> None:
    """Each hop is `growth` times the one before until it is `longest_chunks` chunks long."""
    boundaries = list(islice(chunking.boundaries(prompt), 12))
    hops = [(after - before) // chunking.chunk_tokens for before, after in pairwise(boundaries)]

    assert hops == [min(chunking.growth**at, chunking.longest_chunks) for at in range(11)]


def test_the_edges_of_an_aligned_prompt() -> None:
    """With the published sizes: one chunk, then hops of 1, 2, 4, 4 … chunks."""
    assert list(islice(Chunking().boundaries(50), 6)) == [25, 50, 100, 200, 300, 400]
    assert list(islice(Chunking().boundaries(36), 3)) == [14, 39, 89]
    assert list(islice(Chunking().boundaries(40), 3)) == [35, 60, 110]
