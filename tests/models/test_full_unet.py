"""The velocity model of CosyVoice 1: it halves, it looks both ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.models.full_unet import FullUNet, FullUNetConfig
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests import tiny1

LAST = -1


def run(unet: FullUNet, frames: int, batch: int = 1, changed: int | None = None) -> Tensor:  # [B, 80, M]
    random = torch.Generator().manual_seed(4)
    x, mu, prompt = (torch.randn(1, 80, frames, generator=random).expand(batch, -1, -1) for _ in range(3))
    if changed is not None:
        x = x.clone()
        x[:, :, changed] += 1
    mask = torch.ones(batch, frames, frames, dtype=torch.bool)
    t, speaker = torch.full((batch,), 0.3), torch.ones(batch, 80)
    out: Tensor = unet(FlowInputs(x, torch.ones(batch, 1, frames), mask, mu, t, speaker, prompt))
    return out


@pytest.mark.parametrize("channels", [(16,), (16, 16), (16, 24, 32)])
@pytest.mark.parametrize("frames", [1, 7, 24])
def test_any_number_of_frames_and_levels(channels: tuple[int, ...], frames: int) -> None:
    """Frames that cannot be halved come back all the same, at any depth."""
    torch.manual_seed(0)
    unet = FullUNet(FullUNetConfig(channels=channels, head_width=8, heads=2, blocks=1, middle=1)).eval()
    with torch.no_grad():
        velocity = run(unet, frames)

    assert velocity.shape == (1, 80, frames)
    assert velocity.isfinite().all()


def test_the_second_level_has_half_the_frames() -> None:
    """The middle works on half as many frames: that is what makes it a U."""
    unet, seen = tiny1.flow().velocity, []
    unet.mid_blocks[0][0].register_forward_hook(lambda _, given, __: seen.append(given[0].shape[2]))
    run(unet, 13)

    assert seen == [7]


def test_the_first_frame_depends_on_the_last() -> None:
    """This U-Net looks both ways: a stream must be made of windows, and a cache is refused."""
    unet = tiny1.flow().velocity

    assert (run(unet, 12) - run(unet, 12, changed=LAST))[:, :, 0].abs().max() > 1e-4
    with pytest.raises(AssertionError, match="looks both ways"):
        unet(FlowInputs(*[torch.ones(1)] * 7), StreamCache())


def test_a_batch_is_its_rows() -> None:
    """Two equal rows are computed as one alone."""
    unet = tiny1.flow().velocity

    torch.testing.assert_close(run(unet, 9, batch=2), run(unet, 9).expand(2, -1, -1), atol=1e-5, rtol=0)
