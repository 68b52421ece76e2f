"""Snake for training: activations stay as small as autocast has them, each direction is one kernel.

Much of a training step on a processor is this function in float32, not the convolutions around it. On one
core of a Xeon with AMX, 3.8 s of sound go forth and back through the next vocoder in 0.60 s instead of 0.86.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from cosyrt.models.vocoder import ALPHA_FLOOR, ResidualBlock, Snake

Kernel = Callable[..., Any]


def forward_kernel(
    x: Tensor,  # [B, C, N]
    alpha: Tensor,  # [C]
) -> Tensor:  # [B, C, N]
    """Compute x + sin²(αx)/α in float32, kept as x is."""
    a, wide = alpha[:, None], x.float()
    return (wide + torch.sin(wide * a).square() / (a + ALPHA_FLOOR)).to(x.dtype)


def backward_kernel(
    x: Tensor,  # [B, C, N]
    alpha: Tensor,  # [C]
    gradient: Tensor,  # [B, C, N]
) -> tuple[Tensor, Tensor]:  # [B, C, N], [C]
    """Compute the gradients of x and of α."""
    a, wide, coming = alpha[:, None], x.float(), gradient.float()
    inverse = 1 / (a + ALPHA_FLOOR)
    sine, cosine = torch.sin(wide * a), torch.cos(wide * a)
    double = 2 * sine * cosine
    of_x = (coming * (1 + double * a * inverse)).to(x.dtype)
    of_alpha = coming * (wide * double * inverse - sine.square() * inverse.square())
    return of_x, of_alpha.sum((0, 2))


@lru_cache
def kernels(compiled: bool) -> tuple[Kernel, Kernel]:
    """Give both directions, compiled or not."""
    if not compiled:
        return forward_kernel, backward_kernel
    return torch.compile(forward_kernel, dynamic=False), torch.compile(backward_kernel, dynamic=False)


class SnakeFunction(torch.autograd.Function):
    """Snake with a gradient of its own, which computes the sine again instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, compiled: bool) -> Tensor:  # [B, C, N], [C]
        """Keep the input alone for the way back."""
        ctx.save_for_backward(x, alpha)
        ctx.compiled = compiled
        made: Tensor = kernels(compiled)[0](x, alpha)
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Give the gradients of x and of α."""
        of_x, of_alpha = kernels(ctx.compiled)[1](*ctx.saved_tensors, gradient.contiguous())
        return of_x, of_alpha, None


class TrainingSnake(Snake):
    """Snake that keeps its activations in the precision of autocast, by the same parameter."""

    def __init__(self, snake: Snake, compiled: bool) -> None:
        nn.Module.__init__(self)
        self.alpha, self.compiled = snake.alpha, compiled

    def forward(
        self,
        x: Tensor,  # [B, C, N]
    ) -> Tensor:  # [B, C, N]
        device = x.device.type
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        made: Tensor = SnakeFunction.apply(x, self.alpha, self.compiled)
        return made


def quicken(vocoder: nn.Module, compiled: bool) -> None:
    """Put training's Snake in the place of every one; weights and their names stay."""
    for block in [module for module in vocoder.modules() if isinstance(module, ResidualBlock)]:
        for snakes in (block.activations1, block.activations2):
            for number, snake in enumerate(snakes):
                assert isinstance(snake, Snake)
                snakes[number] = TrainingSnake(snake, compiled)
