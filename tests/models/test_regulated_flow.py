"""The flow of CosyVoice 1: stretches, and an encoder that hears everything."""

from __future__ import annotations

import pytest
import torch

from cosyrt.models.regulated_flow import LengthRegulator
from cosyrt.models.stream_cache import StreamCache
from tests import tiny1

ENCODED = torch.randn(1, 80, 30, generator=torch.Generator().manual_seed(2))


def test_stretches_do_not_mix() -> None:
    """Each stretch is drawn out by itself: what it becomes does not depend on the others."""
    regulator = LengthRegulator(80, 0).requires_grad_(False)  # smoothing would mix the edges
    apart = [regulator(ENCODED[:, :, :12], [(12, 20)]), regulator(ENCODED[:, :, 12:], [(18, 31)])]

    torch.testing.assert_close(regulator(ENCODED, [(12, 20), (18, 31)]), torch.cat(apart, dim=2))


@pytest.mark.parametrize("stretches", [[(30, 51)], [(30, 1)], [(5, 9), (20, 34), (5, 8)]])
def test_as_many_frames_as_were_asked_for(stretches: list[tuple[int, int]]) -> None:
    """The frames are the sum of what the stretches become."""
    mu = tiny1.flow().regulate(ENCODED, stretches)

    assert mu.shape == (1, 80, sum(frames for _, frames in stretches))


def test_the_encoder_hears_what_follows() -> None:
    """A later token changes what an earlier one says; a past or a look-ahead has no place here."""
    flow = tiny1.flow()
    tokens = torch.arange(8)[None]
    valid, mask = torch.ones(1, 8, dtype=torch.bool), torch.ones(1, 8, 8, dtype=torch.bool)
    changed = tokens.clone()
    changed[0, 7] = 99

    assert (flow.encode(tokens, valid, mask) - flow.encode(changed, valid, mask))[:, :, 0].abs().max() > 1e-5
    with pytest.raises(AssertionError, match="both ways"):
        flow.encode(tokens, valid, mask, None, StreamCache())
