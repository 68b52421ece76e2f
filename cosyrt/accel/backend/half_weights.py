"""Half weights: 16-bit weights and activations, where autocast would convert float32 weights at every call.

Float32 stays where 16 bits are known to hurt: the sinusoids of the time (the model computes them so, if it is
given the time in float32), the norms of the language model, its last layer, and the Euler steps between two
velocities. The vocoder is left alone: its phases need more digits than 16 bits have.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part, replaced
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.language_stages import NewCache
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.machine.facts import Machine
from cosyrt.machine.mapped import GivenBack
from cosyrt.models.kv_cache import PlainCache
from cosyrt.models.llm import WORDS, SpeechLanguageModel
from cosyrt.models.transformer_lm import TransformerLM
from cosyrt.models.velocity import FlowInputs

HEAD = "llm_decoder"  # 8 bits of mantissa are too coarse to tell likely tokens apart


class Float32Layer(nn.Module):
    """A layer that stays in float32 among narrower ones."""

    def __init__(self, plain: nn.Module) -> None:
        super().__init__()
        self.plain = plain

    def forward(
        self,
        x: Tensor,  # [..., D]
    ) -> Tensor:  # float32 [..., D']
        out: Tensor = self.plain(x.float())
        return out


class NarrowOutput(nn.Module):
    """A table that stays as wide as it is; what is looked up is narrowed."""

    def __init__(self, plain: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.plain, self.dtype = plain, dtype

    def forward(
        self,
        number: Tensor,  # [B, T]
    ) -> Tensor:  # [B, T, D]
        out: Tensor = self.plain(number)
        return out.to(self.dtype)


def narrowed(
    module: nn.Module, dtype: torch.dtype, wide: tuple[str, ...] = (), tables: tuple[str, ...] = ()
) -> nn.Module:
    """A copy with weights of that type; buffers and the layers named `wide` stay, shared with the original.

    Of `tables` only what is looked up is narrowed. Weights are converted while the copy is made, and those
    that are mapped from their file are given back, so that no checkpoint is in memory twice.
    """
    kept = {id(p) for name in (*wide, *tables) for p in module.get_submodule(name).parameters()}
    memo: dict[int, Any] = {}
    memo.update((id(buffer), buffer) for buffer in module.buffers())  # the rates of rotary positions stay
    with GivenBack() as read:
        for tensor in module.parameters():
            if tensor.is_floating_point() and id(tensor) not in kept:
                memo[id(tensor)] = nn.Parameter(tensor.detach().to(dtype), requires_grad=False)
                read.add(tensor)
            else:
                memo[id(tensor)] = tensor
    narrow = copy.deepcopy(module, memo)
    for name in wide:
        _replace(narrow, name, Float32Layer(narrow.get_submodule(name)))
    for name in tables:
        _replace(narrow, name, NarrowOutput(narrow.get_submodule(name), dtype))
    return narrow


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, layer)


def cast(stage: Callable[..., Tensor], dtype: torch.dtype) -> Callable[..., Tensor]:
    """A stage that computes in `dtype` between floating-point tensors of float32."""

    def called(*args: Any) -> Tensor:
        return stage(*(narrowed_argument(value, dtype) for value in args)).float()

    return called


def narrowed_argument(value: Any, dtype: torch.dtype) -> Any:
    """Convert floating-point tensors to `dtype`; the time stays, half precision ruins its sinusoids."""
    if isinstance(value, FlowInputs):
        narrow = FlowInputs(*(narrowed_argument(tensor, dtype) for tensor in value))
        return narrow._replace(t=value.t)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def narrow_cache(llm: SpeechLanguageModel | TransformerLM, dtype: torch.dtype) -> NewCache:
    """Make caches of that type."""

    @torch.inference_mode()
    def new_cache(rows: int, positions: int) -> PlainCache:
        return llm.empty_cache(rows, positions).to(dtype)

    return new_cache


def narrow_networks(part: Part, networks: Networks, dtype: torch.dtype) -> Networks:
    """Networks of which the one that the part runs has weights of that type."""
    if part == "llm":
        # On a card the table would take twice the memory; on a processor it stays in its file.
        on_cpu = networks.llm.llm_decoder.weight.device.type == "cpu"
        tables = (WORDS,) if on_cpu and isinstance(networks.llm, SpeechLanguageModel) else ()
        llm: Any = narrowed(networks.llm, dtype, wide=(HEAD,), tables=tables)
        return replace(networks, llm=llm)
    flow: Any = narrowed(networks.flow, dtype)
    return replace(networks, flow=flow)


def half_stages(part: Part, narrow: Networks, model: Model, dtype: torch.dtype) -> Stages:
    """Stages of the model with one part run by the narrow networks."""
    other = eager(narrow)
    if part == "llm":
        new_cache = narrow_cache(model.networks.llm, dtype)
        other = other._replace(new_cache=new_cache, prefill=cast(other.prefill, dtype))
    else:
        other = other._replace(encode=cast(other.encode, dtype), velocity=cast(other.velocity, dtype))
    return replaced(model.stages, part, other)


def half(dtype: torch.dtype, part: Part, model: Model) -> Stages:
    """Run one part with weights and activations of that type."""
    return half_stages(part, narrow_networks(part, model.networks, dtype), model, dtype)


def supported(kind: str) -> bool:
    """Tell whether the CPU multiplies 16-bit matrices itself; `kind` is bf16 or fp16."""
    ask = getattr(torch.ops.mkldnn, f"_is_mkldnn_{kind}_supported", None)
    return torch.backends.mkldnn.is_available() and ask is not None and bool(ask())  # type: ignore[no-untyped-call]


def availability(kind: str, device: torch.device) -> Availability:
    """Tell whether the device computes in bf16 or fp16, which `kind` names."""
    if device.type == "cpu" and not supported(kind):
        return Availability(False, f"this CPU has no {kind} arithmetic: every value would be converted twice")
    if device.type == "cuda" and kind == "bf16" and torch.cuda.get_device_capability(device) < (8, 0):
        return Availability(False, "this GPU has no bf16 arithmetic; it came with compute capability 8.0")
    return Availability(True)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge 16-bit weights by the arithmetic of the CPU or the card."""
    gpu = machine.gpu
    if gpu is None:
        if machine.has("amx_bf16", "avx512_bf16", "amx_fp16", "avx512_fp16", "bf16"):
            return Advice(
                "use", f"this CPU multiplies 16-bit matrices itself: the flow gains most; {MEASURE}"
            )
        return Advice("leave", "this CPU has no 16-bit arithmetic: every value would be converted twice")
    saved = f"{model.gpu_mb('half'):.0f} MB instead of {model.gpu_mb('float32'):.0f}"
    if gpu.reaches(7, 0) is False:
        reason = f"compute capability {gpu.capability} has no tensor cores: {saved}, no speed"
        return Advice("leave", reason)
    kind = "bf16 or fp16" if gpu.reaches(8, 0) else "fp16"
    return Advice("use", f"weights in {kind}: {saved}, and half as much to read for every token; {MEASURE}")


BACKENDS = tuple(
    Backend(
        name=kind,
        precision="half",
        parts=("llm", "encode", "velocity"),
        availability=partial(availability, kind),
        build=partial(half, dtype),
        predicts=lambda device: 1.8,  # half the bytes, and twice as many products an instruction
        option="half weights (bf16, fp16)",
        advice=advice,
        rows=None,
    )
    for kind, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16))
)
