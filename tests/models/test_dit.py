"""The velocity of CosyVoice 3: chunked, deaf to padding, positions on one head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.models.dit import DiT, ModulatedNorm, first_head_rotated
from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests import tiny3
from tests.models.test_unet import CHUNK, FRAMES, cut, inputs


@pytest.fixture(scope="module")
def dit() -> DiT:
    return tiny3.flow().velocity


def run(dit: DiT, given: dict[str, Tensor], chunk: int | None, start: int = 0, **more: StreamCache) -> Tensor:
    end = start + given["x"].shape[2]
    mask = attention_mask(torch.ones(given["x"].shape[0], end, dtype=torch.bool), chunk, start)
    velocity: Tensor = dit(FlowInputs(valid=torch.ones_like(given["x"][:, :1]), mask=mask, **given), **more)
    return velocity


def test_chunks_with_a_cache_are_one_masked_pass(dit: DiT) -> None:
    """Chunk by chunk the velocity is that of one pass with the chunk mask: positions go on, too."""
    given, cache = inputs(2), StreamCache()
    parts = [
        run(dit, cut(given, start, end), CHUNK, start, cache=cache.begin())
        for start, end in ((0, 8), (8, 16), (16, 24))
    ]

    torch.testing.assert_close(torch.cat(parts, dim=2), run(dit, given, CHUNK), atol=1e-5, rtol=0)


def test_no_frame_knows_a_later_chunk(dit: DiT) -> None:
    """A change in the last chunk leaves the ones before it as they were, and reaches all of its own."""
    given = inputs()
    changed = given | {"mu": torch.cat([given["mu"][:, :, :-1], -given["mu"][:, :, -1:]], dim=2)}
    difference = (run(dit, changed, CHUNK) - run(dit, given, CHUNK)).abs().amax((0, 1))

    assert difference[: FRAMES - CHUNK].max() == 0
    assert difference[FRAMES - CHUNK :].min() > 0


@pytest.mark.parametrize("chunk", [None, CHUNK])
def test_padding_is_not_heard(dit: DiT, chunk: int | None) -> None:
    """A shorter sequence of a batch is what it is alone, whatever fills the rest; the rest is zero."""
    given, length = inputs(2), FRAMES - 5
    valid = valid_positions(torch.tensor([FRAMES, length]), FRAMES)
    together = dit(FlowInputs(valid=valid[:, None].float(), mask=attention_mask(valid, chunk), **given))
    alone = run(dit, {name: value[1:] for name, value in cut(given, 0, length).items()}, chunk)

    torch.testing.assert_close(together[1:, :, :length], alone, atol=1e-5, rtol=0)
    assert together[1, :, length:].abs().max() == 0


def test_the_first_head_alone_is_rotated() -> None:
    """Neighbouring pairs of the first head turn by position times rate, the other heads stay (upstream's
    checkpoints were trained so); each row stands at positions of its own."""
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(5.0) + torch.tensor([[0.0], [70.0]])
    angles = positions[..., None] * torch.tensor([1.0, 0.01])
    turned = first_head_rotated(x, (angles.cos(), angles.sin()))
    as_complex = torch.view_as_complex(x[:, 0].unflatten(-1, (2, 2)).contiguous())
    slow = torch.view_as_real(as_complex * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    torch.testing.assert_close(turned[:, 0], slow)
    assert torch.equal(turned[:, 1:], x[:, 1:])


def test_a_modulated_norm() -> None:
    """Zero mean and unit variance, then scaled by one more than the scale, then shifted."""
    x = 3 + torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    out = ModulatedNorm(64)(x, torch.full((2, 1, 64), 7.0), torch.full((2, 1, 64), 1.0))

    torch.testing.assert_close(out.mean(-1), torch.full((2, 5), 7.0))
    torch.testing.assert_close(out.std(-1, correction=0), torch.full((2, 5), 2.0), atol=1e-4, rtol=0)
