"""Masks and causal convolution."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.models.layers import CausalConv, attention_mask, valid_positions, with_lookahead
from cosyrt.models.stream_cache import StreamCache


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4), st.one_of(st.none(), st.integers(1, 4)), st.data()
)
def test_the_mask_says_who_may_look(lengths: list[int], chunk: int | None, data: st.DataObject) -> None:
    """Padding is never seen; with chunks nothing behind one's own chunk is; rows may start later."""
    valid = valid_positions(torch.tensor(lengths), 9)
    start = data.draw(st.integers(0, 9))
    mask = attention_mask(valid, chunk, start)

    assert mask.tolist() == [
        [[k < n and (chunk is None or k // chunk <= q // chunk) for k in range(9)] for q in range(start, 9)]
        for n in lengths
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(1, 5))
def test_a_causal_convolution_goes_on_where_it_stopped(parts: list[int], kernel: int) -> None:
    """Parts of any length, also shorter than the kernel, give with a cache what one piece gives."""
    torch.manual_seed(0)
    conv = CausalConv(3, 4, kernel)
    x = torch.randn(2, 3, sum(parts))
    cache = StreamCache()
    out = torch.cat([conv(part, cache.begin()) for part in x.split(parts, dim=2)], dim=2)

    torch.testing.assert_close(out, conv(x), atol=1e-5, rtol=0)


def test_a_causal_convolution_sees_no_future() -> None:
    """A change at a position changes nothing before it."""
    torch.manual_seed(0)
    conv = CausalConv(3, 4, 3)
    x = torch.randn(1, 3, 8)
    changed = x.clone()
    changed[:, :, 5] += 1
    difference = (conv(changed) - conv(x)).abs().amax((0, 1))

    assert (difference > 0).tolist() == [False] * 5 + [True] * 3


def test_dilated_and_grouped_convolutions_go_on() -> None:
    """A dilated convolution remembers as far as it reaches; groups of channels stay apart."""
    torch.manual_seed(0)
    conv = CausalConv(4, 4, 3, dilation=5, groups=2).requires_grad_(False)
    x, cache = torch.randn(1, 4, 30), StreamCache()
    parts = [conv(x[:, :, start:end], cache.begin()) for start, end in ((0, 3), (3, 17), (17, 30))]
    other_half = conv(torch.cat([x[:, :2], -x[:, 2:]], dim=1))

    torch.testing.assert_close(torch.cat(parts, dim=2), conv(x))
    assert torch.equal(other_half[:, :2], conv(x)[:, :2])
    assert cache.begin().empty is False and StreamCache().begin().empty is True


def test_what_follows() -> None:
    """The positions that are reached are appended, or zeros where nothing follows."""
    x, ahead = torch.ones(1, 2, 3), torch.full((1, 2, 5), 2.0)

    assert with_lookahead(x, ahead, 2)[0, 0].tolist() == [1, 1, 1, 2, 2]
    assert with_lookahead(x, None, 2)[0, 0].tolist() == [1, 1, 1, 0, 0]
