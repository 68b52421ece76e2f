"""The velocity model: causal, chunked, deaf to padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.unet import CausalUNet
from cosyrt.models.velocity import FlowInputs
from tests import tiny

FRAMES, CHUNK = 24, 8


@pytest.fixture(scope="module")
def unet() -> CausalUNet:
    return tiny.flow().velocity


def inputs(batch: int = 1) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(4)

    def some(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=random)

    return {
        "x": some(80, FRAMES),
        "mu": some(80, FRAMES),
        "t": torch.rand(batch, generator=random),
        "speaker": some(80),
        "prompt": some(80, FRAMES),
    }


def cut(given: dict[str, Tensor], start: int, end: int) -> dict[str, Tensor]:
    """Some of the frames; time and speaker belong to all."""
    return {name: value[:, :, start:end] if value.ndim == 3 else value for name, value in given.items()}


def run(
    unet: CausalUNet, given: dict[str, Tensor], chunk: int | None, start: int = 0, **more: StreamCache
) -> Tensor:
    end = start + given["x"].shape[2]
    mask = attention_mask(torch.ones(given["x"].shape[0], end, dtype=torch.bool), chunk, start)
    velocity: Tensor = unet(FlowInputs(valid=torch.ones_like(given["x"][:, :1]), mask=mask, **given), **more)
    return velocity


def test_chunks_with_a_cache_are_one_masked_pass(unet: CausalUNet) -> None:
    """Chunk by chunk the velocity is that of one pass with the chunk mask."""
    given, cache = inputs(2), StreamCache()
    parts = [
        run(unet, cut(given, start, end), CHUNK, start, cache=cache.begin())
        for start, end in ((0, 8), (8, 16), (16, 24))
    ]

    torch.testing.assert_close(torch.cat(parts, dim=2), run(unet, given, CHUNK), atol=1e-5, rtol=0)


def test_no_frame_knows_a_later_chunk(unet: CausalUNet) -> None:
    """With the mask, frames left of a chunk boundary stay when frames are added; without it they change."""
    given = inputs()
    first = cut(given, 0, 16)

    torch.testing.assert_close(run(unet, given, CHUNK)[:, :, :16], run(unet, first, CHUNK), atol=1e-5, rtol=0)
    assert (run(unet, given, None)[:, :, :16] - run(unet, first, None)).abs().max() > 1e-3


@pytest.mark.parametrize("chunk", [None, CHUNK])
def test_padding_is_not_heard(unet: CausalUNet, chunk: int | None) -> None:
    """A short row of a padded batch gives what it gives alone, and nothing where the padding is."""
    given = inputs(2)
    valid = valid_positions(torch.tensor([FRAMES, 14]), FRAMES)
    velocity = unet(FlowInputs(valid=valid[:, None].float(), mask=attention_mask(valid, chunk), **given))
    alone = run(unet, cut({name: value[1:] for name, value in given.items()}, 0, 14), chunk)

    torch.testing.assert_close(velocity[1:, :, :14], alone, atol=1e-5, rtol=0)
    assert velocity[1, :, 14:].abs().max() == 0


def test_time_is_embedded_in_float32(unet: CausalUNet) -> None:
    """In bfloat16 the sinusoids are still made of exact times, and only then rounded."""
    half = tiny.flow().velocity.time_mlp.bfloat16()
    close = torch.tensor([0.0123, 0.0489], dtype=torch.float32)
    twin = unet.time_mlp(close)

    torch.testing.assert_close(half(close).float(), twin, atol=0.004, rtol=0)
