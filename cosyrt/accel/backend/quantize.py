"""int8 weights, and activations that are scaled to 8 bits as they come: torch's dynamic quantisation.

Only linear layers of the language model: one token at a time, it waits for its weights to arrive from memory,
and these are a quarter as many bytes. Rows are stepped one by one: torch rounds all activations of a call to
one range, and a row of a batch would depend on its neighbours. Convolutions in int8 are slower than in
float32 on every CPU that was reported (reference: onnxruntime#12854, openvino#12964), so the flow and the
vocoder have no such candidate.
Source: FBGEMM (arXiv:2101.05615); symmetric weights with one scale a row.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part, replaced
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages, eager
from cosyrt.machine.facts import Machine
from cosyrt.machine.mapped import GivenBack

LEVELS = 127


def rows_to_int8(
    weight: Tensor,  # [D', D]
) -> tuple[Tensor, Tensor]:  # int8 [D', D] and the scale of each row [D']
    """Round weights to symmetric 8-bit numbers; a row of zeros keeps a scale of one."""
    scale = weight.abs().amax(dim=1) / LEVELS
    scale = torch.where(scale > 0, scale, 1.0)
    return (weight / scale[:, None]).round().to(torch.int8), scale


def packed_weights(
    number: Tensor,  # int8 [D', D]
    scale: Tensor,  # [D']
    bias: Tensor | None,  # [D']
) -> Any:
    """Pack weights in the order in which FBGEMM or oneDNN read them."""
    with warnings.catch_warnings():
        # Tensors of quantised type are to leave torch; `availability` tells when they have.
        warnings.filterwarnings("ignore", message=".*quantize_per_tensor", category=UserWarning)
        zero = torch.zeros(len(scale), dtype=torch.long)
        weight = torch._make_per_channel_quantized_tensor(number, scale.double(), zero, 0)
    return torch.ops.quantized.linear_prepack(weight, bias)


class Int8Linear(nn.Module):
    """A linear layer with int8 weights."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        number, scale = rows_to_int8(plain.weight.detach().float())
        self.packed_weights = packed_weights(number, scale, plain.bias)
        # Without VNNI pairs of products are added in 16 bits and overflow, unless activations keep to 7 bits.
        self.reduce = not torch.cpu._is_vnni_supported()

    def forward(
        self,
        x: Tensor,  # [..., D]
    ) -> Tensor:  # [..., D']
        out: Tensor = torch.ops.quantized.linear_dynamic(x, self.packed_weights, self.reduce)
        return out


def with_int8(module: nn.Module, keep: tuple[str, ...] = ()) -> nn.Module:
    """A copy whose linear layers are int8, but those named `keep`; all else is shared with the original.

    Weights that are mapped from their file are given back once they are rounded.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    with GivenBack() as read:
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Linear) and name not in keep:
                memo[id(layer)] = Int8Linear(layer)
                read.add(layer.weight)
    return copy.deepcopy(module, memo)


def int8(part: Part, model: Model) -> Stages:
    """Run the language model with int8 weights; its caches stay float32."""
    narrow: Any = with_int8(model.networks.llm, keep=("llm_decoder",))
    other = eager(replace(model.networks, llm=narrow))
    return replaced(model.stages, part, other)


def availability(device: torch.device) -> Availability:
    """Tell whether torch has int8 kernels: in its CPU builds for x86 and ARM, on no GPU."""
    if device.type != "cpu":
        return Availability(
            False, f"torch has int8 kernels for the CPU only, the model runs on {device.type}"
        )
    gone = not hasattr(torch, "_make_per_channel_quantized_tensor")
    if gone or torch.backends.quantized.engine == "none":
        return Availability(False, f"torch {torch.__version__} has no quantised kernels; 2.13 has")
    return Availability(True)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge 8-bit weights by the instructions of the CPU; torch has no such kernels for a card."""
    if machine.gpu is not None:
        return Advice(
            "leave",
            "for one speaker the card waits for launches, not for weights; torch's int8 kernels are for CPUs",
        )
    if machine.has("avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"):
        kernel = "this CPU multiplies int8 itself"
    else:
        kernel = "without VNNI the gain is smaller"
    float_mb, int_mb = (model.weights_mb(name) for name in ("float32", "int8"))
    return Advice(
        "use",
        f"a token waits for its weights: {int_mb:.0f} MB instead of {float_mb:.0f}; {kernel}; {MEASURE}",
    )


BACKENDS = (
    Backend(
        name="int8",
        precision="quantised",
        parts=("llm",),
        availability=availability,
        build=int8,
        predicts=lambda device: 2.5,
        option="int8 language model",
        advice=advice,
        rows=1,  # torch takes one range for all activations of a call, so neighbours would change a row
    ),
)
