"""Snake for training."""

from __future__ import annotations

import pytest
import torch

from cosyrt.models.vocoder import Snake, Vocoder, VocoderConfig
from recipes.builtin_voice.snake import SnakeFunction, backward_kernel, quicken

CONFIG = VocoderConfig(
    channels=16, harmonics=4, kernels=(3,), dilations=((1,),), source_kernels=(3, 3, 3),
    source_dilations=((1,), (1,), (1,)), pitch_channels=8,
)  # fmt: skip


def test_gradients_are_those_of_the_runtime() -> None:
    """In float32, both of the input and of the parameter."""
    random = torch.manual_seed(0)
    snake = Snake(3)
    snake.alpha.data = torch.tensor([0.3, 1.0, 2.5])
    x = torch.randn(2, 3, 50, generator=random, requires_grad=True)
    coming = torch.randn(2, 3, 50, generator=random)
    made = snake(x)
    of_x, of_alpha = torch.autograd.grad(made, [x, snake.alpha], coming)
    torch.testing.assert_close(SnakeFunction.apply(x, snake.alpha, False), made)
    ours = backward_kernel(x.detach(), snake.alpha.detach(), coming)
    torch.testing.assert_close(ours, (of_x, of_alpha))


def test_a_quick_vocoder_has_the_same_weights_and_almost_the_same_sound() -> None:
    """Names stay, bfloat16 costs a hundredth, and every Snake learns."""
    torch.manual_seed(0)
    plain, quick = Vocoder(CONFIG), Vocoder(CONFIG)
    quicken(quick, compiled=False)
    quick.load_state_dict(plain.state_dict())
    mel, source = torch.randn(1, 80, 6), torch.randn(1, 1, 6 * 480)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = quick.decode(mel, source), plain.decode(mel, source)
    assert float((ours - theirs).detach().norm() / theirs.detach().norm()) < 0.05
    ours.square().mean().backward()
    alphas = [value for name, value in quick.named_parameters() if name.endswith("alpha")]
    assert alphas and all(value.grad is not None and value.grad.abs().sum() > 0 for value in alphas)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile itself
def test_compiled_kernels_compute_the_same() -> None:
    """Within the rounding of bfloat16, forwards and backwards."""
    x = torch.randn(1, 3, 64, dtype=torch.bfloat16)
    found = []
    for compiled in (False, True):
        alpha = torch.ones(3, requires_grad=True)
        inputs = x.clone().requires_grad_()
        made = SnakeFunction.apply(inputs, alpha, compiled)
        made.float().square().sum().backward()
        found.append((made.detach(), inputs.grad, alpha.grad))
    torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0.02)
