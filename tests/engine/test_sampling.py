"""Repetition-aware nucleus sampling."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.engine.sampling import NOTHING, SamplingConfig, draw, nucleus, remember

# Steps of 1/8 keep the order certain in float32.
LOGITS = st.lists(st.integers(-80, 80), min_size=1, max_size=60, unique=True).map(
    lambda steps: [step / 8 for step in steps]
)
ROWS = 20_000
READ_BACK = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def no_recent(rows: int = 1, window: int = 10) -> Tensor:  # [B, W]
    return torch.full((rows, window), NOTHING)


def slow_nucleus(logits: list[float], top_p: float, top_k: int) -> dict[int, float]:
    """Upstream's words: sort by probability, take while the sum is below top_p, at most top_k."""
    total = sum(math.exp(x) for x in logits)
    taken: dict[int, float] = {}
    for token in sorted(range(len(logits)), key=lambda token: -logits[token]):
        assume(abs(sum(taken.values()) - top_p) > 1e-5)  # there float32 may fall on either side
        if sum(taken.values()) >= top_p or len(taken) == top_k:
            break
        taken[token] = math.exp(logits[token]) / total
    return taken


@given(LOGITS, st.floats(0.05, 1.1), st.integers(1, 70))
def test_the_nucleus_is_upstreams(logits: list[float], top_p: float, top_k: int) -> None:
    """The batched nucleus holds the tokens and probabilities that the loop takes one by one."""
    p, token = nucleus(torch.tensor([logits]), SamplingConfig(top_p=top_p, top_k=top_k))
    taken = {int(t): float(x) for t, x in zip(token[0], p[0], strict=True) if x > 0}

    assert taken == pytest.approx(slow_nucleus(logits, top_p, top_k), rel=1e-4)


def test_drawn_as_often_as_the_nucleus_says() -> None:
    """Tokens of the nucleus come with their probabilities, renormalised; no other comes."""
    logp = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(ROWS, -1)
    token = draw(logp, no_recent(ROWS), SamplingConfig(top_p=0.8), generator())

    share = token.bincount(minlength=4) / ROWS
    assert share.tolist() == pytest.approx([0.5 / 0.8, 0.3 / 0.8, 0, 0], abs=0.02)


def test_a_repetition_steps_aside() -> None:
    """A token that the window holds gives way to the others, each as often as the whole distribution says."""
    logp = torch.tensor([[0.9, 0.05, 0.04, 0.01]]).log().expand(ROWS, -1)
    recent = no_recent(ROWS)
    recent[:, 3] = 0
    token = draw(logp, recent, SamplingConfig(), generator())

    share = token.bincount(minlength=4) / ROWS
    assert share.tolist() == pytest.approx([0, 0.5, 0.4, 0.1], abs=0.02)


@pytest.mark.parametrize(("seen", "stays"), [(2, True), (3, False)])
def test_tolerance_counts_in_the_window(seen: int, stays: bool) -> None:
    """With a tolerance of 0.3 of a window of 10, two repetitions pass and three do not."""
    recent = no_recent()
    recent[0, :seen] = 1
    token = draw(torch.tensor([[-20.0, 0.0]]), recent, SamplingConfig(tolerance=0.3), generator())

    assert (int(token) == 1) is stays


@settings(deadline=None)
@given(LOGITS, st.data())
def test_forbidden_tokens_never_come(logits: list[float], data: st.DataObject) -> None:
    """Of tokens at -inf none is drawn, repetition or not; the only possible token stays, repeated or not."""
    possible = data.draw(st.sets(st.integers(0, len(logits) - 1), min_size=1))
    recent = torch.tensor([data.draw(st.lists(st.sampled_from(sorted(possible)), min_size=10, max_size=10))])
    row = torch.tensor([x if token in possible else -math.inf for token, x in enumerate(logits)])
    tokens = draw(row.expand(50, -1), recent.expand(50, -1), SamplingConfig(top_p=1.0), generator())

    assert set(tokens.tolist()) <= possible


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_no_token(bad: float) -> None:
    """A row with NaN or infinity, or nothing that is possible, gives NOTHING; the other rows their token."""
    logp = torch.full((3, 5), -math.inf)
    logp[0] = torch.tensor([0.0, 0.0, bad, 0.0, 0.0])
    logp[2, 4] = 0.0

    assert draw(logp, no_recent(3), SamplingConfig(), generator()).tolist() == [NOTHING, NOTHING, 4]


def test_the_generator_decides() -> None:
    """The same generator state gives the same tokens, another one others."""
    logp = torch.randn(64, 500, generator=generator())

    def tokens(seed: int) -> list[int]:
        drawn: list[int] = draw(logp, no_recent(64), SamplingConfig(), generator(seed)).tolist()
        return drawn

    assert tokens(1) == tokens(1) != tokens(2)


def test_the_window_moves_on() -> None:
    """The oldest token falls out on the left, the new one comes in on the right, row by row."""
    recent = torch.tensor([[NOTHING, NOTHING, 7], [1, 2, 3]])

    assert remember(recent, torch.tensor([8, 4])).tolist() == [[NOTHING, 7, 8], [2, 3, 4]]


def test_settings_come_from_the_description() -> None:
    """Upstream's names of the four settings."""
    node = Tagged(
        "cosyvoice.utils.common.ras_sampling", {"top_p": 0.7, "top_k": 5, "win_size": 9, "tau_r": 0.2}
    )

    assert SamplingConfig.from_description(node.args) == SamplingConfig(
        top_p=0.7, top_k=5, window=9, tolerance=0.2
    )


def test_nothing_is_read_back_while_drawing() -> None:
    """No number goes to the host: on a GPU each would wait for all that was asked before."""

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func not in READ_BACK, f"{func} waits for the device"
            return func(*args, **(kwargs or {}))

    logp = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    recent = torch.full((3, 10), NOTHING)
    with Watched():
        token = draw(logp, recent, SamplingConfig(), torch.Generator().manual_seed(0))
        recent = remember(recent, token)

    with pytest.raises(AssertionError, match="waits for the device"), Watched():
        recent.sum().item()
