"""Where the prompt of a voice is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.engine.chunks import ChunkPlan
from cosyrt.voice.prompt_cut import KEPT_TOKENS, best_cut

WIDTH = 96  # samples a token
first_edge = ChunkPlan().first_edge


def recording(before: int, speech: int, after: int, silence: float = 0.0) -> np.ndarray:
    """So many tokens of silence, noise and silence."""
    random = np.random.default_rng(0)
    levels = np.repeat([silence, 0.1, silence], [before * WIDTH, speech * WIDTH, after * WIDTH])
    return (random.standard_normal(len(levels)) * levels).astype(np.float32)


def cut(before: int, speech: int, after: int, silence: float = 0.0) -> tuple[int, int]:
    """Tokens that are cut at the beginning and at the end."""
    tokens = before + speech + after
    kept = best_cut(recording(before, speech, after, silence), tokens, first_edge)
    return kept.start, tokens - kept.stop


@pytest.mark.parametrize(
    ("before", "speech", "after", "expected"),
    [
        (0, 63, 0, (0, 0)),  # at its best as it is: the first chunk ends after 12 tokens
        (10, 79, 10, (7, 4)),  # 99 → 88: at the beginning as far as silence goes, then at the end
        (14, 60, 0, (11, 0)),  # 74 → 63
        (0, 60, 14, (0, 11)),
        (0, 64, 0, (0, 0)),  # nothing but speech: after 36 tokens
        (6, 60, 6, (0, 0)),  # 72: nine would help, of silence there are six; less would make it later
        (0, 62, 0, (0, 0)),
        (30, 60, 0, (2, 0)),  # 90 → 88, not 63: no more than is needed
    ],
)
def test_the_cut(before: int, speech: int, after: int, expected: tuple[int, int]) -> None:
    """The least cut of silence with the earliest first edge that can be had, from the beginning first."""
    assert cut(before, speech, after) == expected


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 40), st.integers(13, 200), st.integers(0, 40))
def test_speech_is_never_cut(before: int, speech: int, after: int) -> None:
    """Speech and a margin of silence stay; the edge is the earliest of all cuts allowed, and never later."""
    start, end = cut(before, speech, after)
    spare = max(0, before - KEPT_TOKENS) + max(0, after - KEPT_TOKENS)
    tokens = before + speech + after
    assert start <= max(0, before - KEPT_TOKENS) and end <= max(0, after - KEPT_TOKENS)
    assert first_edge(tokens - start - end) == min(first_edge(tokens - less) for less in range(spare + 1))


def test_the_noise_of_a_room_is_silence() -> None:
    """What is 46 dB below the speech is no speech, though it is not nothing; 34 dB below it may be an [f]."""
    assert cut(14, 60, 0, silence=0.0005) == (11, 0)
    assert cut(14, 60, 0, silence=0.002) == (0, 0)


def test_an_offset_is_no_sound() -> None:
    """A microphone's constant offset does not hide silence."""
    kept = best_cut(recording(14, 60, 0) + np.float32(0.2), 74, first_edge)
    assert kept == slice(11, 74)


def test_the_best_first_chunk_takes_12_tokens() -> None:
    """With CosyVoice 2's grid the first chunk ends after 12 tokens at best and 36 at worst."""
    edges = [first_edge(tokens) for tokens in range(25, 50)]
    assert (min(edges), max(edges)) == (12, 36)
    assert first_edge(25 + 13) == 12 and first_edge(25 + 14) == 36
