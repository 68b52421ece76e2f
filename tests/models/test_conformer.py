"""The token encoder: relative attention, look-ahead, up-sampling, and going on in chunks."""

from __future__ import annotations

from math import cos, exp, log, sin, sqrt

import pytest
import torch
from torch import Tensor

from cosyrt.models.conformer import (
    LookAhead,
    RelativeAttention,
    UpsampleConformer,
    distances,
)
from cosyrt.models.layers import attention_mask
from cosyrt.models.stream_cache import StreamCache
from tests import tiny

WIDTH, HEADS = 8, 2


@pytest.fixture(scope="module")
def attention() -> RelativeAttention:
    torch.manual_seed(0)
    module = RelativeAttention(WIDTH, HEADS).requires_grad_(False)
    torch.nn.init.normal_(module.pos_bias_u)
    torch.nn.init.normal_(module.pos_bias_v)
    return module


@pytest.fixture(scope="module")
def encoder() -> UpsampleConformer:
    return tiny.flow().encoder


def sinusoid(distance: int, width: int) -> Tensor:  # [D]
    """Sine and cosine by turns, slower and slower."""
    values = []
    for pair in range(width // 2):
        angle = distance * exp(-log(10_000) * 2 * pair / width)
        values += [sin(angle), cos(angle)]
    return torch.tensor(values)


def slow_attention(module: RelativeAttention, x: Tensor, mask: Tensor) -> Tensor:  # [T, D], [T, T] → [T, D]
    """The formula of Transformer-XL, one query, one key, one head at a time."""
    size = WIDTH // HEADS
    heard = torch.zeros_like(x)
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        q, k, v = (proj(x)[:, own] for proj in (module.linear_q, module.linear_k, module.linear_v))
        for i in range(len(x)):
            scores = torch.full((len(x),), float("-inf"))
            for j in range(len(x)):
                far = module.linear_pos(sinusoid(i - j, WIDTH))[own]
                content = (q[i] + module.pos_bias_u[head]) @ k[j]
                position = (q[i] + module.pos_bias_v[head]) @ far
                if mask[i, j]:
                    scores[j] = (content + position) / sqrt(size)
            heard[i, own] = scores.softmax(0) @ v
    out: Tensor = module.linear_out(heard)
    return out


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_relative_attention_is_the_slow_formula(attention: RelativeAttention, chunk: int | None) -> None:
    """Shifted scores in one go are the scores of every pair by its distance."""
    x = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(1))
    mask = attention_mask(torch.ones(2, 7, dtype=torch.bool), chunk)
    out = attention(x, mask[:, None], distances(7, 7, WIDTH, x))

    for row in range(2):
        twin = slow_attention(attention, x[row], mask[row])
        torch.testing.assert_close(out[row], twin, atol=1e-5, rtol=0)


def test_relative_attention_goes_on_where_it_stopped(attention: RelativeAttention) -> None:
    """With the past in a cache, later rows equal those of the slow formula over everything."""
    x = torch.randn(1, 7, WIDTH, generator=torch.Generator().manual_seed(1))
    mask = attention_mask(torch.ones(1, 7, dtype=torch.bool), 3)
    cache = StreamCache()
    parts = [
        attention(x[:, a:b], mask[:, None, a:b, :b], distances(b - a, b, WIDTH, x), cache.begin())
        for a, b in ((0, 3), (3, 6), (6, 7))
    ]

    twin = slow_attention(attention, x[0], mask[0])
    torch.testing.assert_close(torch.cat(parts, dim=1)[0], twin, atol=1e-5, rtol=0)


def test_look_ahead_hears_just_so_far() -> None:
    """A token hears the three after it and its past, no further; at the end silence follows."""
    torch.manual_seed(0)
    layer = LookAhead(4, 3, 4).requires_grad_(False)
    x = torch.randn(1, 12, 4)
    changed = x.clone()
    changed[:, 8] += 1
    difference = (layer(changed) - layer(x)).abs().amax((0, 2))

    assert (difference > 0).nonzero().flatten().tolist() == list(range(5, 11))
    silence = torch.zeros(1, 3, 4)
    torch.testing.assert_close(layer(x, silence), layer(x))


def run(encoder: UpsampleConformer, x: Tensor, chunk: int | None, context: Tensor | None = None) -> Tensor:
    mask, mask_up = (
        attention_mask(torch.ones(1, rate * x.shape[1], dtype=torch.bool), chunk and rate * chunk)
        for rate in (1, 2)
    )
    out: Tensor = encoder(x, mask, mask_up, context)
    return out


def test_chunks_with_their_look_ahead_are_one_masked_pass(encoder: UpsampleConformer) -> None:
    """Chunk by chunk with a cache and the next tokens as context: the frames of one pass with the mask."""
    x = torch.randn(1, 21, 32, generator=torch.Generator().manual_seed(2))
    cache, parts = StreamCache(), []
    for start, end in ((0, 5), (5, 15), (15, 21)):
        mask, mask_up = (
            attention_mask(torch.ones(1, rate * end, dtype=torch.bool), rate * 5, rate * start)
            for rate in (1, 2)
        )
        context = x[:, end : end + 3] if end < 21 else None
        parts.append(encoder(x[:, start:end], mask, mask_up, context, cache.begin()))

    torch.testing.assert_close(torch.cat(parts, dim=1), run(encoder, x, 5), atol=1e-5, rtol=0)


def test_two_frames_a_token(encoder: UpsampleConformer) -> None:
    """Every token becomes two frames; those before a boundary depend on nothing behind the look-ahead."""
    x = torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(2))
    changed = x.clone()
    changed[:, 13:] += 1
    one, two = run(encoder, x, 10), run(encoder, changed, 10)

    assert one.shape == (1, 40, 32)
    torch.testing.assert_close(one[:, :20], two[:, :20], atol=1e-5, rtol=0)
    assert (one[:, 20:] - two[:, 20:]).abs().max() > 1e-2
