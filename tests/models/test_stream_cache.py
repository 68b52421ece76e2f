"""Stream caches: what earlier positions left behind, of one stream and of several that are packed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.models.layers import CausalConv
from cosyrt.models.stream_cache import PackedCache, StreamCache, attend, of_each_frame


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_everything_since_the_start(parts: list[int]) -> None:
    """Two call sites each get back all they were ever given, in order."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 1, 2, sum(parts), 3)
    cache, at = StreamCache(), 0
    for part in parts:
        cache.begin()
        for given_ in (x, y):
            got = cache.append(given_[:, :, at : at + part])
            assert torch.equal(got, given_[:, :, : at + part])
        at += part


def test_a_copy_continues_by_itself() -> None:
    """Appending to a copy does not change the original, nor the other way round."""
    cache = StreamCache()
    x = torch.randn(1, 2, 4, 3)
    cache.append(x)
    copy = cache.copy()
    one, two = torch.randn(2, 1, 2, 1, 3)

    assert torch.equal(cache.begin().append(one), torch.cat([x, one], dim=2))
    assert torch.equal(copy.begin().append(two), torch.cat([x, two], dim=2))
    assert torch.equal(cache.begin().append(two)[:, :, 4:], torch.cat([one, two], dim=2))


@pytest.mark.parametrize("positions", [1, 5])
def test_a_cache_counts_its_bytes(positions: int) -> None:
    """A slot that is appended to once has no spare room, one that grows at most an eighth as much again."""
    cache = StreamCache()
    assert cache.bytes == 0
    cache.append(torch.zeros(1, 2, positions, 3))
    assert cache.bytes == 4 * 6 * positions
    cache.begin().append(torch.zeros(1, 2, positions, 3))
    filled = 2 * 4 * 6 * positions

    assert cache.copy().bytes == filled <= cache.bytes <= 1.125 * filled


def test_a_copy_takes_no_room_until_it_grows() -> None:
    """Every utterance of a voice begins with a copy of its prompt's cache, which may be gigabytes."""
    cache = StreamCache()
    cache.append(torch.zeros(1, 2, 5, 3))
    copy = cache.copy()
    shared = [slot.data_ptr() for slot in cache.slots()]

    assert [slot.data_ptr() for slot in copy.slots()] == shared
    copy.begin().append(torch.ones(1, 2, 1, 3))
    assert [slot.data_ptr() for slot in copy.slots()] != shared
    assert not cache.slots()[0].any()


def heads(length: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values of that many positions."""
    return torch.randn(3, 2, 2, length, 4, generator=torch.Generator().manual_seed(seed)).unbind()


def test_packed_streams_are_convolved_one_by_one() -> None:
    """Each stream continues from its own left context, whatever lies beside it."""
    torch.manual_seed(0)
    conv, x = CausalConv(3, 4, 5).requires_grad_(False), torch.randn(2, 3, 12)
    streams = StreamCache(), StreamCache()
    conv(x[:, :, :7], streams[0].begin())
    cache = PackedCache([stream.begin() for stream in streams], lengths=[2, 3], pasts=[7, 0])

    both = conv(torch.cat([x[:, :, 7:9], x[:, :, :3]], dim=2), cache)
    torch.testing.assert_close(both[:, :, :2], conv(x)[:, :, 7:9])
    torch.testing.assert_close(both[:, :, 2:], conv(x)[:, :, :3])


def test_packed_streams_attend_to_their_own_positions() -> None:
    """Streams of other lengths and pasts, each with its own mask: the attention of each alone."""
    long, short = heads(9, 0), heads(3, 1)
    streams = StreamCache(), StreamCache()
    for x in long[1:]:
        streams[0].append(x[:, :, :5])
    cache = PackedCache([stream.begin() for stream in streams], lengths=[4, 3], pasts=[5, 0])
    causal = torch.ones(9, 9, dtype=torch.bool).tril()[None, None]
    mask = torch.cat([causal[:, :, 5:], causal[:, :, :3]], dim=2)

    q, k, v = (torch.cat([one[:, :, 5:], other], dim=2) for one, other in zip(long, short, strict=True))
    out = attend(q, k, v, mask, cache)
    whole = F.scaled_dot_product_attention(*long, attn_mask=causal)[:, :, 5:]
    torch.testing.assert_close(out[:, :, :4], whole)
    torch.testing.assert_close(out[:, :, 4:], attend(*short, causal[:, :, :3, :3], None))


def test_values_of_a_stream_belong_to_its_frames() -> None:
    """Alone they broadcast; packed each stream's are repeated for its frames, and no other's."""
    cache = PackedCache([StreamCache(), StreamCache()], lengths=[2, 1], pasts=[4, 0])
    values = torch.tensor([[[1.0], [2.0]]])

    assert of_each_frame(values[:, 0], None).shape == (1, 1, 1)
    assert of_each_frame(values, cache).flatten().tolist() == [1, 1, 2]
    assert cache.positions().tolist() == [[4, 5, 0]]


def test_packed_streams_have_no_common_past() -> None:
    """A network that would mix them fails at once, and the bytes are those of all streams."""
    streams = StreamCache(), StreamCache()
    streams[1].append(torch.zeros(1, 1, 3, 4))
    cache, x = PackedCache(streams, lengths=[1, 1], pasts=[0, 3]), torch.zeros(1, 1, 2, 4)
    for refused in (lambda: cache.append(x), lambda: cache.left_context(x[0], 1)):
        with pytest.raises(AssertionError, match="packed streams"):
            refused()

    assert cache.streams == streams and cache.bytes == streams[1].bytes == 48
