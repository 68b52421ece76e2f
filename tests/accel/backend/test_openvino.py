"""OpenVINO: each part equals eager within its class, at lengths the graph was not made with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cosyrt.accel.backend.openvino as backend
from cosyrt.accel.backend.graphs import VelocityGraph
from cosyrt.accel.registry import BACKENDS
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload
from cosyrt.models.dit import Block, DiT, DiTConfig
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs

installed = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is an extra")
CPU = torch.device("cpu")


@installed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["openvino", "openvino-bf16", "openvino-int8", "openvino-int4"])
def test_every_part_equals_eager_within_its_class(workload: Workload, name: str) -> None:
    """Whole and streamed over several chunks, with and without a prompt."""
    one = BACKENDS[name]
    if not one.availability(CPU).ok:
        pytest.skip(one.availability(CPU).reason)
    said = [workload.utterance(Length(31, 0, False)), workload.utterance(Length(110, 31, True))]
    for part in one.parts:
        stages = one.build(part, workload.model)
        parity = verify(workload.model, part, one.precision, stages, said)

        assert parity.passed, f"{part}: {parity.why}"


@installed
@pytest.mark.parametrize(("bits", "most"), [(8, 0.01), (4, 0.15)])
def test_narrow_weights_stand_in_for_wide_ones(bits: int, most: float) -> None:
    """A large product keeps its value within what so many bits allow; the last one has 8."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(256, 512, bias=False), nn.Linear(512, 256, bias=False))
    x = torch.randn(3, 256)
    graph = backend.Compiled(backend.converted(module, (x,), bits), bf16=False)
    last = backend.converted(nn.Sequential(module[1]), (torch.randn(3, 512),), bits)
    alone = backend.Compiled(last, bf16=False)
    with torch.inference_mode():
        want = module(x)
        (got,) = graph(x)
        y = torch.randn(5, 512)

        assert 0 < float((got - want).norm() / want.norm()) < most
        of_last = (alone(y)[0] - module[1](y)).norm() / module[1](y).norm()
        assert 0 < float(of_last) < 0.01


@installed
def test_a_graph_may_be_called_from_many_threads() -> None:
    """Each call has a request of its own, and its result is not overwritten by the next."""
    module = nn.Linear(64, 64)
    graph = backend.Compiled(backend.converted(module, (torch.randn(2, 64),)), bf16=False)
    inputs = [torch.randn(1 + number, 64) for number in range(16)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        outputs = list(pool.map(lambda x: graph(x)[0], inputs))

        assert all(torch.allclose(y, module(x), atol=1e-5) for x, y in zip(inputs, outputs, strict=True))


def test_rounding_is_to_the_nearest_step() -> None:
    """Each weight is off by at most half a step of its group; a group of zeros stays zero."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 64)).astype(np.float32)
    weight[0, 0] = 0
    for bits in (4, 8):
        number, scale = backend.rounded(weight, bits)

        assert np.abs(number).max() == 2 ** (bits - 1) - 1
        assert (np.abs(number * scale - weight) <= scale / 2 * 1.001).all()
        assert not number[0, 0].any()


def test_absence_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed: how to install it. On a GPU: that it is not used there."""
    assert not BACKENDS["openvino"].availability(torch.device("meta")).ok
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert "cosyrt[openvino]" in BACKENDS["openvino"].availability(CPU).reason


def test_listing_backends_does_not_load_it() -> None:
    """The package is heavy: it is loaded when a graph is made, not when backends are listed."""
    import subprocess
    import sys

    code = "import sys, cosyrt.accel.registry; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@installed
@pytest.mark.slow
def test_in_bf16_a_stream_keeps_half_as_much(workload: Workload) -> None:
    """Keys and values are remembered as they are multiplied; what is not wide enough to matter stays wide."""
    one = BACKENDS["openvino-bf16"]
    if not one.availability(CPU).ok:
        pytest.skip(one.availability(CPU).reason)
    kept = {}
    for name in ("plain", "fast"):
        stages = workload.model.plain if name == "plain" else one.build("velocity", workload.model)
        cache, mel = StreamCache(), torch.zeros(2, 80, 6)
        mask = torch.ones(2, 6, 6, dtype=torch.bool)
        inputs = FlowInputs(mel, mel[:, :1] + 1, mask, mel, torch.zeros(2), mel[:, :, 0], mel)
        stages.velocity(inputs, cache.begin())
        kept[name] = {slot.dim(): slot for slot in cache.slots()}

    assert (kept["plain"][4].dtype, kept["fast"][4].dtype) == (torch.float32, torch.bfloat16)
    assert kept["fast"][3].dtype == torch.float32
    torch.testing.assert_close(kept["fast"][4].float(), kept["plain"][4], atol=0.05, rtol=0.05)


@installed
def test_in_bf16_a_late_frame_is_as_good_as_an_early_one() -> None:
    """Rotary angles are not computed in bf16, where those of frame 1000 are a radian or more off."""
    if not BACKENDS["openvino-bf16"].availability(CPU).ok:
        pytest.skip(BACKENDS["openvino-bf16"].availability(CPU).reason)
    torch.manual_seed(0)
    net = DiT(DiTConfig(width=64, layers=3, heads=2, head_width=32)).eval().requires_grad_(False)
    for block in net.transformer_blocks.children():
        assert isinstance(block, Block)
        block.attn_norm.linear.bias += 0.5  # of random weights too little is added for attention to matter
        for sharp in (block.attn.to_q, block.attn.to_k):
            sharp.weight *= 2
    module = VelocityGraph(net, whole=True)
    graph = backend.Compiled(backend.converted(module, velocity_given(module, 13)), bf16=True)
    with torch.inference_mode():
        short, long = (off(graph, module, velocity_given(module, frames)) for frames in (100, 1200))

    assert 0 < long < 1.5 * short  # were they computed there, it would be eleven times as far off


def velocity_given(module: VelocityGraph, frames: int) -> tuple[Tensor, ...]:
    """Arguments of that many frames in one piece."""
    x, mu, prompt = torch.randn(3, 2, 80, frames)
    mask, time = torch.ones(2, frames, frames).bool(), module.timed(torch.full((2,), 0.3))
    return (x, x[:, :1] * 0 + 1, mask, mu, time, x[:, :, 0], prompt, *module.positions(0, frames))


def off(graph: backend.Compiled, module: VelocityGraph, given: tuple[Tensor, ...]) -> float:
    """How far the graph is from the network, as a share."""
    want = module(*given)[0]
    return float((graph(*given)[0] - want).norm() / want.norm())
