"""Inductor: compiled once, right at lengths that it was not compiled for."""

from __future__ import annotations

import shutil

import pytest
import torch

from cosyrt.accel.backends import BACKENDS
from cosyrt.accel.graphs import VelocityGraph
from cosyrt.accel.inductor import compiled
from cosyrt.models.layers import visible
from cosyrt.models.unet import CausalUNet, UNetConfig

CPU = torch.device("cpu")
SMALL = UNetConfig(channels=8, head_width=4, heads=2, blocks=1, middle=0)  # each block is a minute of g++


@pytest.mark.slow
@pytest.mark.skipif(not BACKENDS["inductor"].availability(CPU).ok, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_velocity_equals_eager_at_other_lengths() -> None:
    """Another number of frames, another past: the same numbers, and nothing is compiled again."""
    torch.manual_seed(0)
    module = VelocityGraph(CausalUNet(SMALL).eval().requires_grad_(False))

    def given(frames: int, past: int) -> tuple[torch.Tensor, ...]:
        x, mu, prompt = torch.randn(3, 2, 80, frames)
        empty, kinds = module.empty(2, 80)
        slots = (
            torch.randn(*slot.shape[:2], past if kind == "since start" else slot.shape[2], *slot.shape[3:])
            for slot, kind in zip(empty, kinds, strict=True)
        )
        sees = visible(torch.ones(2, past + frames).bool(), 50, past)
        time = module.time(torch.full((2,), 0.3))
        return (x, torch.ones(2, 1, frames), sees, mu, time, x[:, :, 0], prompt, *slots)

    with torch.inference_mode():
        graph = compiled(module, given(13, 17))
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        for frames, past in ((50, 100), (31, 250)):
            asked = given(frames, past)
            for got, want in zip(graph(*asked), module(*asked), strict=True):
                torch.testing.assert_close(got, want, atol=1e-4, rtol=0)

    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before


def test_without_a_compiler_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert "install g++" in BACKENDS["inductor"].availability(CPU).reason
    assert not BACKENDS["inductor"].availability(torch.device("meta")).ok
