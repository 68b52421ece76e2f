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
from cosyrt.engine.sampling import (
    NOTHING,
    SamplingConfig,
    distribution,
    hand_on,
    nucleus,
    others_of,
    pick,
    uniforms,
)

# Steps of 1/8 keep the order certain in float32.
LOGITS = st.lists(st.integers(-80, 80), min_size=1, max_size=60, unique=True).map(
    lambda steps: [step / 8 for step in steps]
)
ROWS = 40_000
USUAL = SamplingConfig()
CPU = torch.device("cpu")
READ_BACK = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def no_recent(rows: int = 1, window: int = 10) -> Tensor:  # [B, W]
    return torch.full((rows, window), NOTHING)


def picked(logp: Tensor, recent: Tensor, config: SamplingConfig = USUAL, seed: int = 0) -> Tensor:
    """A token a row, of one seed."""
    return pick(distribution(logp, recent, config), torch.rand(len(logp), generator=generator(seed)))


def slow_nucleus(logits: list[float], top_p: float, top_k: int) -> dict[int, float]:
    """Upstream's rule: sort by probability, take while the sum is below top_p, at most top_k."""
    total = sum(math.exp(x) for x in logits)
    taken: dict[int, float] = {}
    for token in sorted(range(len(logits)), key=lambda token: -logits[token]):
        assume(abs(sum(taken.values()) - top_p) > 1e-5)  # there float32 may fall on either side
        if sum(taken.values()) >= top_p or len(taken) == top_k:
            break
        taken[token] = math.exp(logits[token]) / total
    return taken


def upstream_distribution(logits: list[float], recent: list[int], config: SamplingConfig) -> list[float]:
    """Upstream's rule, each way it can go: a draw from the nucleus, a second one where that repeats."""
    weights = [math.exp(x) for x in logits]
    first = slow_nucleus(logits, config.top_p, config.top_k)
    found = [0.0] * len(logits)
    for token, p in first.items():
        p /= sum(first.values())
        others = sum(weights) - weights[token]
        if recent.count(token) < config.window * config.tolerance or len(logits) == 1:
            found[token] += p
            continue
        for other, weight in enumerate(weights):
            if other != token:
                found[other] += p * weight / others
    return found


def two_draws(logp: Tensor, recent: Tensor, config: SamplingConfig, rng: torch.Generator) -> Tensor:  # [B]
    """The slow twin: a draw from the nucleus, then another from all but that token, taken if it repeats."""
    full = logp.softmax(-1)
    p, candidate = full.topk(min(config.top_k, full.shape[-1]))
    token = candidate.gather(1, torch.multinomial(nucleus(p, config), 1, generator=rng))
    other = torch.multinomial(full.scatter(1, token, 0.0), 1, generator=rng)
    repeats = (recent == token).sum(1, keepdim=True) >= config.window * config.tolerance
    return torch.where(repeats, other, token).squeeze(1)


@given(LOGITS, st.floats(0.05, 1.1), st.integers(1, 70))
def test_the_nucleus_is_upstreams(logits: list[float], top_p: float, top_k: int) -> None:
    """The batched nucleus holds the tokens and probabilities that the loop takes one by one."""
    config = SamplingConfig(top_p=top_p, top_k=top_k)
    p, token = torch.tensor([logits]).softmax(-1).topk(min(top_k, len(logits)))
    q = nucleus(p, config)
    taken = slow_nucleus(logits, top_p, top_k)
    expected = {token: x / sum(taken.values()) for token, x in taken.items()}

    assert {int(t): float(x) for t, x in zip(token[0], q[0], strict=True) if x > 0} == pytest.approx(
        expected, rel=1e-4
    )


def test_a_tolerance_of_next_to_nothing_is_not_zero() -> None:
    """A token that the window does not hold is not repeated, unless nothing at all is tolerated."""
    logp = torch.tensor([[0.0, 0.125]])
    tiny, none = (SamplingConfig(top_k=1, tolerance=tolerance) for tolerance in (3e-224, 0.0))

    assert distribution(logp, no_recent(), tiny).tolist() == [[0.0, 1.0]]
    assert distribution(logp, no_recent(), none)[0].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


@settings(deadline=None)
@given(LOGITS, st.floats(0.05, 1.1), st.integers(1, 30), st.floats(0, 0.4), st.data())
def test_the_distribution_is_upstreams(
    logits: list[float], top_p: float, top_k: int, tolerance: float, data: st.DataObject
) -> None:
    """Whatever stands in the window, each token is as likely as by upstream's two draws."""
    config = SamplingConfig(top_p=top_p, top_k=top_k, tolerance=tolerance)
    likely = sorted(range(len(logits)), key=lambda token: -logits[token])[:4]
    recent = data.draw(st.lists(st.sampled_from([NOTHING, *likely]), min_size=10, max_size=10))
    found = distribution(torch.tensor([logits]), torch.tensor([recent]), config)

    assert found[0].tolist() == pytest.approx(upstream_distribution(logits, recent, config), abs=2e-5)


def test_one_pick_is_as_two_draws() -> None:
    """40,000 tokens picked by one number each come as often as by two draws, repetitions among them."""
    logp = (2 * torch.randn(1, 60, generator=generator(3))).log_softmax(-1)
    recent = no_recent()
    recent[0, :3] = logp.topk(5).indices[0, [0, 2, 4]]
    rows, window = logp.expand(ROWS, -1), recent.expand(ROWS, -1)
    one = picked(rows, window).bincount(minlength=60) / ROWS
    two = two_draws(rows, window, SamplingConfig(), generator(1)).bincount(minlength=60) / ROWS

    # Four standard deviations of the difference of two counts.
    assert (one - two).abs().max() < 4 * math.sqrt(2 * 0.25 / ROWS)
    assert (one - distribution(logp, recent, SamplingConfig())[0]).abs().max() < 4 * math.sqrt(0.25 / ROWS)


def test_picked_as_often_as_the_nucleus_says() -> None:
    """Tokens of the nucleus come with their probabilities, renormalised; no other comes."""
    logp = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(ROWS, -1)
    share = picked(logp, no_recent(ROWS), SamplingConfig(top_p=0.8)).bincount(minlength=4) / ROWS

    assert share.tolist() == pytest.approx([0.5 / 0.8, 0.3 / 0.8, 0, 0], abs=0.02)


def test_a_repetition_gives_way() -> None:
    """A token that the window holds leaves its place to the others, in proportion to their probabilities."""
    recent = no_recent()
    recent[:, 3] = 0
    found = distribution(torch.tensor([[0.9, 0.05, 0.04, 0.01]]).log(), recent, SamplingConfig())

    assert found[0].tolist() == pytest.approx([0, 0.5, 0.4, 0.1], abs=1e-5)


@pytest.mark.parametrize(("seen", "stays"), [(2, True), (3, False)])
def test_tolerance_counts_in_the_window(seen: int, stays: bool) -> None:
    """With a tolerance of 0.3 of a window of 10, two repetitions pass and three do not."""
    recent = no_recent()
    recent[0, :seen] = 1
    token = picked(torch.tensor([[-20.0, 0.0]]), recent, SamplingConfig(tolerance=0.3))

    assert (int(token) == 1) is stays


@settings(deadline=None)
@given(LOGITS, st.data())
def test_forbidden_tokens_never_come(logits: list[float], data: st.DataObject) -> None:
    """No token at -inf is picked, repetition or not; the only possible token stays, repeated or not."""
    possible = data.draw(st.sets(st.integers(0, len(logits) - 1), min_size=1))
    recent = torch.tensor([data.draw(st.lists(st.sampled_from(sorted(possible)), min_size=10, max_size=10))])
    row = torch.tensor([x if token in possible else -math.inf for token, x in enumerate(logits)])
    tokens = picked(row.expand(50, -1), recent.expand(50, -1), SamplingConfig(top_p=1.0))

    assert set(tokens.tolist()) <= possible


def test_the_ends_of_the_numbers_pick_the_ends_of_the_possible() -> None:
    """Zero picks the first token that is possible, the largest number below one the last."""
    possible = torch.zeros(2, 5_000)
    possible[:, 100:4_000] = 1 / 3_900
    last = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))

    assert pick(possible, torch.stack([torch.tensor(0.0), last])).tolist() == [100, 3_999]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_no_token(bad: float) -> None:
    """A row with NaN or infinity, or nothing that is possible, gives NOTHING; the other rows their token."""
    logp = torch.full((3, 5), -math.inf)
    logp[0] = torch.tensor([0.0, 0.0, bad, 0.0, 0.0])
    logp[2, 4] = 0.0

    assert picked(logp, no_recent(3)).tolist() == [NOTHING, NOTHING, 4]


def remember(window: Tensor, token: Tensor) -> Tensor:  # [B, W] and [B]
    """The window after one more token."""
    return torch.cat([window[:, 1:], token[:, None]], dim=1)


def test_the_seed_decides_and_the_neighbours_do_not() -> None:
    """For any seed a row of a batch is the row alone, token for token; another seed gives other tokens."""
    logp = (2 * torch.randn(8, 500, generator=generator())).log_softmax(-1)
    config, together, alone = SamplingConfig(), [], [[] for _ in logp]
    rngs, windows = [generator(seed) for seed in range(8)], no_recent(8)
    for _ in range(40):
        token = pick(distribution(logp, windows, config), uniforms(rngs, CPU))
        windows = remember(windows, token)
        together.append(token)
    for row, tokens in enumerate(alone):
        rng, window = generator(row), no_recent()
        for _ in range(40):
            token = pick(distribution(logp[[row]], window, config), uniforms([rng], CPU))
            window = remember(window, token)
            tokens.append(int(token))

    assert torch.stack(together, dim=1).tolist() == alone
    assert not torch.equal(picked(logp, windows, seed=1), picked(logp, windows, seed=2))


def test_settings_come_from_the_description() -> None:
    """Upstream's names of the four settings."""
    node = Tagged(
        "cosyvoice.utils.common.ras_sampling", {"top_p": 0.7, "top_k": 5, "win_size": 9, "tau_r": 0.2}
    )

    assert SamplingConfig.from_description(node.args) == SamplingConfig(
        top_p=0.7, top_k=5, window=9, tolerance=0.2
    )


def test_the_short_way_without_repetition_changes_nothing() -> None:
    """Where no candidate was said too often, handing on gives the nucleus itself, bit by bit."""
    config = SamplingConfig()
    logp = torch.randn(8, 200, generator=generator()).mul(3).log_softmax(-1)
    full = logp.softmax(-1)
    p, candidate = full.topk(config.top_k, dim=-1)
    never = torch.zeros_like(candidate, dtype=torch.float64)

    found = distribution(logp, torch.full((8, 10), NOTHING), config)

    assert torch.equal(found, hand_on(full, p, candidate, nucleus(p, config).double(), never))


@given(st.floats(0.2, 0.9999), st.integers(0, 99))
def test_the_others_are_added_up_only_where_a_difference_is_too_rough(most: float, seed: int) -> None:
    """Below the limit the difference is good to four digits, above it the sum is taken."""
    rest = torch.rand(30, generator=generator(seed), dtype=torch.float64) + 0.01
    full = torch.cat([torch.tensor([most], dtype=torch.float64), rest / rest.sum() * (1 - most)])
    p, candidate = full[None].float().topk(5, dim=-1)

    found = others_of(full[None].float(), p, candidate)

    assert found[0].tolist() == pytest.approx((1 - full[candidate[0]]).tolist(), rel=1e-4)


def test_nothing_is_read_back_while_sampling() -> None:
    """No number goes to the host: on a GPU each would wait for all that was asked before."""

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func not in READ_BACK, f"{func} waits for the device"
            return func(*args, **(kwargs or {}))

    meta = torch.device("meta")  # not the host, where a question costs nothing
    logp, rngs = torch.empty(3, 40, device=meta), [generator(seed) for seed in range(3)]
    recent = torch.full((3, 10), NOTHING, device=meta)
    with Watched():
        token = pick(distribution(logp, recent, SamplingConfig()), uniforms(rngs, meta))

    with pytest.raises(AssertionError, match="waits for the device"), Watched():
        token.sum().item()
