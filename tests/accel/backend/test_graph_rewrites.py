"""Rewritten operations compute what the plain ones do, and are really gone from the graph."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cosyrt.accel.backend import graph_rewrites, openvino
from cosyrt.models.vocoder import Snake

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is an extra")


class Projections(nn.Module):
    """Queries, keys and values of one input, two maps of another, and one alone."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(256, width) for width in (256, 128, 384))
        self.wide = nn.ModuleList(nn.Linear(256, 512) for _ in range(2))
        self.last = nn.Linear(512, 256)

    def forward(
        self,
        x: Tensor,  # [B, T, 256]
    ) -> tuple[Tensor, ...]:  # [B, T, 256], [B, T, 128], [B, T, 384], [B, T, 256]
        first, second = self.wide
        return (*(each(x) for each in self.maps), self.last(first(2 * x) * second(2 * x)))


def kinds(graph: object) -> Counter[str]:
    """How many operations of each kind a graph has."""
    return Counter(op.get_type_name() for op in graph.get_ordered_ops())  # type: ignore[attr-defined]


def of_float32(module: nn.Module, *args: Tensor) -> tuple[list[Tensor], Counter[str]]:
    """What the converted module gives in float32, and the operations that it is made of."""
    graph = openvino.converted(module, args)
    return openvino.Compiled(graph, bf16=False)(*args), kinds(graph)


def test_the_polynomial_is_the_square_of_a_sine() -> None:
    """Over one period, in float64, it is within a millionth."""
    place = np.linspace(-0.5, 0.5, 10_001)
    powers = np.stack([place ** (2 * term + 2) for term in range(graph_rewrites.TERMS)], axis=1)

    assert np.abs(powers @ graph_rewrites.square_of_sine() - np.sin(np.pi * place) ** 2).max() < 1e-6


def test_snakes_have_no_sine() -> None:
    """Rounding of the argument grows with it, for a sine too: 1e-5 over eighty periods."""
    torch.manual_seed(0)
    snake = Snake(16)
    snake.alpha.data = torch.rand(16) * 5 + 0.1
    x = torch.linspace(-50, 50, 16 * 333).reshape(1, 16, 333)
    with torch.inference_mode():
        want = snake(x)
        (got,), found = of_float32(snake, x)

    assert "Sin" not in found
    assert float((got - want).abs().max()) < 1e-4
    assert float((got - want).norm() / want.norm()) < 1e-6


def test_a_sine_that_is_not_squared_stays() -> None:
    """Only the square has the short period and the even polynomial."""

    class Sine(nn.Module):
        def forward(self, x: Tensor) -> Tensor:  # [B, C] both
            return torch.sin(x) ** 3

    x = torch.randn(3, 40)
    (got,), found = of_float32(Sine(), x)

    assert found["Sin"] == 1
    assert torch.allclose(got, torch.sin(x) ** 3, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"),
    [(16, 8, 4, 0), (11, 5, 3, 0), (7, 3, 2, 0), (4, 4, 0, 0), (5, 2, 2, 1), (3, 5, 0, 1), (3, 1, 1, 0)],
)
def test_transposed_convolutions_are_plain_ones(
    kernel: int, stride: int, padding: int, output_padding: int, bias: bool
) -> None:
    """Equal for every length, for kernels that are no multiple of the stride and for shorter ones."""
    torch.manual_seed(0)
    up = nn.ConvTranspose1d(12, 6, kernel, stride, padding, output_padding, bias=bias)
    graph = openvino.converted(up, (torch.randn(1, 12, 13),))
    compiled = openvino.Compiled(graph, bf16=False)

    assert kinds(graph)["ConvolutionBackpropData"] == 0
    for batch, length in ((1, 4), (2, 29)):
        x = torch.randn(batch, 12, length)
        with torch.inference_mode():
            want, (got,) = up(x), compiled(x)
        assert got.shape == want.shape
        assert torch.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_dilated_and_grouped_transposed_convolutions_stay_right(groups: int) -> None:
    """What the rewriting does not know is left as it is."""
    torch.manual_seed(0)
    up = nn.ConvTranspose1d(4, 4, 3, 2, groups=groups, dilation=2)
    x = torch.randn(1, 4, 9)
    (got,), _ = of_float32(up, x)
    with torch.inference_mode():
        assert torch.allclose(got, up(x), atol=1e-5)


def test_maps_of_one_input_are_one_product() -> None:
    """Queries, keys and values are; two wide maps and one alone stay as they are; all values are equal."""
    torch.manual_seed(0)
    module, x = Projections(), torch.randn(2, 5, 256)
    graph = openvino.converted(module, (x,))
    before = kinds(graph)["MatMul"]
    graph_rewrites.join_products(graph)
    with torch.inference_mode():
        want, got = module(x), openvino.Compiled(graph, bf16=False)(x)

    assert (before, kinds(graph)["MatMul"]) == (6, 4)
    for ours, theirs in zip(got, want, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_joined_maps_are_compressed_too() -> None:
    """Weights of 8 bits stand in for the joint matrix: each row has its scale, as it had alone."""
    torch.manual_seed(0)
    module, x = Projections(), torch.randn(2, 5, 256)
    graph = openvino.converted(module, (x,), 8)
    with torch.inference_mode():
        want, got = module(x), openvino.Compiled(graph, bf16=False)(x)

    assert kinds(graph)["MatMul"] == 4
    for ours, theirs in zip(got, want, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 0.02
