"""Inductor: compiled once, right at lengths that it was not compiled for."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cosyrt.accel.backend.compiled import compiled_stages
from cosyrt.accel.backend.graphs import VelocityGraph
from cosyrt.accel.backend.inductor import compiled
from cosyrt.accel.registry import BACKENDS
from cosyrt.engine.stages import eager
from cosyrt.models.layers import attention_mask
from cosyrt.models.unet import CausalUNet, UNetConfig
from tests.accel.backend.test_compiled import mels, networks_with

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
            torch.randn(*slot.shape[:2], past if kind == "keys or values" else slot.shape[2], *slot.shape[3:])
            for slot, kind in zip(empty, kinds, strict=True)
        )
        mask = attention_mask(torch.ones(2, past + frames).bool(), 50, past)
        time = module.timed(torch.full((2,), 0.3))
        return (x, torch.ones(2, 1, frames), mask, mu, time, x[:, :, 0], prompt, *slots)

    with torch.inference_mode():
        graph = compiled(module, given(13, 17))
        before = graphs_made()
        for frames, past in ((50, 100), (31, 250)):
            asked = given(frames, past)
            for got, want in zip(graph(*asked), module(*asked), strict=True):
                torch.testing.assert_close(got, want, atol=1e-4, rtol=0)

    assert graphs_made() == before


@pytest.mark.slow
@pytest.mark.skipif(not BACKENDS["inductor"].availability(CPU).ok, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_nothing_is_compiled_in_use() -> None:
    """Whole and streamed, short and long, after a prompt, in another thread: all was compiled before."""
    networks = networks_with(guidance=0.0)  # one row: its convolutions have several ways
    torch.manual_seed(0)
    networks.flow.decoder["estimator"] = CausalUNet(SMALL).requires_grad_(False)
    stages = eager(networks)
    fast = compiled_stages("velocity", networks, stages, compiled, graphs=1)
    before = graphs_made()
    for chunked in (False, True):
        want = mels(networks, stages, chunked=chunked)
        with ThreadPoolExecutor(1) as other:
            spoken = (
                mels(networks, fast, chunked=chunked),
                other.submit(mels, networks, fast, chunked=chunked),
            )
            for got in (spoken[0], spoken[1].result()):
                torch.testing.assert_close(got, want, atol=1e-4, rtol=0)

    assert graphs_made() == before


def graphs_made() -> int:
    """Graphs that were compiled in this process."""
    made: int = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return made


def test_without_a_compiler_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert "install g++" in BACKENDS["inductor"].availability(CPU).reason
    assert not BACKENDS["inductor"].availability(torch.device("meta")).ok
