"""Where a stream is cut."""

from __future__ import annotations

from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.chunks import ChunkPlan

PLANS = st.builds(
    ChunkPlan,
    chunk_tokens=st.integers(1, 60),
    first_tokens=st.integers(1, 25),
    growth=st.integers(1, 4),
    longest_chunks=st.integers(1, 9),
).filter(lambda plan: plan.first_tokens <= plan.chunk_tokens)


@given(PLANS, st.integers(0, 800))
def test_edges_lie_on_the_grid(plan: ChunkPlan, prompt: int) -> None:
    """Counted from the first token of the prompt, every edge is a whole number of chunks."""
    assert {(prompt + edge) % plan.chunk_tokens for edge in islice(plan.edges(prompt), 12)} == {0}


@given(PLANS, st.integers(0, 800))
def test_the_first_edge_is_the_first_that_is_long_enough(plan: ChunkPlan, prompt: int) -> None:
    """The first chunk has at least `first_tokens`, and no shorter one on the grid would."""
    first = next(plan.edges(prompt))

    assert plan.first_tokens <= first < plan.first_tokens + plan.chunk_tokens


@given(PLANS, st.integers(0, 800))
def test_hops_grow_up_to_the_longest(plan: ChunkPlan, prompt: int) -> None:
    """Each hop is `growth` times the one before until it is `longest_chunks` chunks long."""
    edges = list(islice(plan.edges(prompt), 12))
    hops = [(after - before) // plan.chunk_tokens for before, after in pairwise(edges)]

    assert hops == [min(plan.growth**at, plan.longest_chunks) for at in range(11)]


def test_the_edges_of_an_aligned_prompt() -> None:
    """With the published sizes: one chunk, then hops of 1, 2, 4, 4 … chunks."""
    assert list(islice(ChunkPlan().edges(50), 6)) == [25, 50, 100, 200, 300, 400]
    assert list(islice(ChunkPlan().edges(36), 3)) == [14, 39, 89]
    assert list(islice(ChunkPlan().edges(40), 3)) == [35, 60, 110]
