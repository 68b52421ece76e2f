"""The heavy calls of a model as modules that can be traced: tensors in, tensors out, state included.

The networks are the model's own; here they are only given a memory that is made of tensors, and all that
depends on the time, computed before. The mask of who sees whom is an input of every graph, never a flag.

Shapes: B batch · M mel frames · T positions of a call · K = past + T positions to look at · R positions of a
past that there is room for · L layers · H query heads · G key/value heads · E head width · D width ·
V speech vocabulary with stops.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.engine.times import tabulated
from cosyrt.models.dit import DiT
from cosyrt.models.full_unet import FullUNet
from cosyrt.models.layers import Memory
from cosyrt.models.llm import Layer, SpeechLanguageModel
from cosyrt.models.unet import CausalUNet
from cosyrt.models.vocoder import Vocoder

Kind = Literal["behind", "since start"]


class TensorMemory(Memory):
    """A memory whose slots are tensors of a graph: given in order, and what is new given back in order."""

    def __init__(self, given: list[Tensor] | None) -> None:
        super().__init__()
        self.given = given  # None: nothing is known yet, each place starts from nothing
        self.new: list[Tensor] = []
        self.kinds: list[Kind] = []

    def behind(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
    ) -> Tensor:  # [B, C, reach + T]
        """The last positions before x, then x; the last of both are for the next call."""
        past = x.new_zeros(*x.shape[:2], reach) if self.given is None else self.given[len(self.new)]
        joined = torch.cat([past, x], dim=2)
        self.kinds.append("behind")
        self.new.append(joined[:, :, -reach:])
        return joined

    def since_start(
        self,
        x: Tensor,  # [B, H, T, E]
    ) -> Tensor:  # [B, H, past + T, E]
        """Everything of this place, x last; only x is new."""
        past = x[:, :, :0] if self.given is None else self.given[len(self.new)]
        self.kinds.append("since start")
        self.new.append(x)
        return torch.cat([past, x], dim=2)


def remember(memory: Memory | None, kinds: list[Kind], new: list[Tensor]) -> None:
    """Keep what a graph gave back, as the plain network would have."""
    if memory is None:
        return
    for kind, tensor in zip(kinds, new, strict=True):
        if kind == "behind":
            memory.behind(tensor, tensor.shape[2])
        else:
            memory.since_start(tensor)


class VelocityGraph(nn.Module):
    """A velocity that takes what it makes of time and place, and its memory as tensors; `whole`: without one.

    Sinusoids of a graph in bf16 put the velocity 23 % off, and angles that grow with the position more and
    more: both stay outside, in float32.
    """

    def __init__(self, velocity: CausalUNet | DiT | FullUNet, *, whole: bool = False) -> None:
        super().__init__()
        self.remembers = not whole and not isinstance(velocity, FullUNet)  # that one looks both ways
        self.inner = velocity
        self.time = torch.inference_mode()(tabulated(velocity.timed))

    def forward(
        self,
        x: Tensor,  # [B, 80, M]
        valid: Tensor,  # [B, 1, M]
        mask: Tensor,  # [B, M, K]
        mu: Tensor,  # [B, 80, M]
        time: Tensor,  # [B, P]
        speaker: Tensor,  # [B, 80]
        prompt: Tensor,  # [B, 80, M]
        *rest: Tensor,  # what `places` makes of the frames, then the slots of the memory
    ) -> tuple[Tensor, ...]:  # [B, 80, M] and what is new of the memory
        rope, slots = (rest[:2], rest[2:]) if isinstance(self.inner, DiT) else ((), rest)
        memory = TensorMemory(list(slots)) if self.remembers else None
        out = self.inner(x, valid, mask, mu, time, speaker, prompt, memory, *((rope,) if rope else ()))
        return (out,) if memory is None else (out, *memory.new)

    @torch.inference_mode()
    def places(self, start: int, end: int) -> tuple[Tensor, ...]:
        """What the frames of that range take of where they stand: [M, E / 2] twice of a DiT, else nothing."""
        return self.inner.rope(start, end) if isinstance(self.inner, DiT) else ()

    def empty(self, batch: int, bins: int) -> tuple[list[Tensor], list[Kind]]:
        """The slots of nothing, and their kinds, found by one short call."""
        if not self.remembers:
            return [], []
        memory, frames = TensorMemory(None), 4
        where = next(self.inner.parameters()).device
        mel = torch.zeros(batch, bins, frames, device=where)
        mask = torch.ones(batch, frames, frames, dtype=torch.bool, device=where)
        time = self.time(torch.zeros(batch))
        self.inner(mel, mel[:, :1] + 1, mask, mel, time, mel[:, :, 0], mel, memory)
        slots = [
            torch.zeros_like(new) if kind == "behind" else new[:, :, :0]
            for new, kind in zip(memory.new, memory.kinds, strict=True)
        ]
        return slots, memory.kinds


class LanguageGraph(nn.Module):
    """The language model on embeddings; keys and values of the past come in, the new ones go out.

    What is past and what is new are never joined: that would copy all of the past at every token.
    """

    def __init__(self, llm: SpeechLanguageModel) -> None:
        super().__init__()
        self.backbone, self.head, self.config = llm.backbone, llm.llm_decoder, llm.config

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T]
        past: Tensor,  # [B, 1, T, R] True where a position may look in what came before
        new: Tensor,  # [B, 1, T, T] the same in what comes now
        *sides: Tensor,  # [B, G, R, E] keys of each layer, then values
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, V] log-probabilities, and two [L, B, G, T, E]
        rope = self.backbone.rope(positions, x.dtype)
        hidden = ~torch.cat([past, new], dim=3).repeat(1, 1, self.config.heads // self.config.kv_heads, 1)
        made: list[tuple[Tensor, Tensor]] = []
        count = len(self.backbone.layers)
        for layer, *before in zip(self.backbone.layers, sides[:count], sides[count:], strict=True):
            x, k, v = self.layer(cast(Layer, layer), x, rope, hidden, *before)
            made.append((k, v))
        last = self.backbone.norm(x[:, -1:])[:, 0]
        logp = F.log_softmax(self.head(last), dim=-1)
        return logp, torch.stack([k for k, _ in made]), torch.stack([v for _, v in made])

    def layer(
        self,
        layer: Layer,
        x: Tensor,  # [B, T, D]
        rope: tuple[Tensor, Tensor],
        hidden: Tensor,  # [B, 1, H / G · T, R + T]
        keys: Tensor,  # [B, G, R, E]
        values: Tensor,  # [B, G, R, E]
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, T, D], and two [B, G, T, E]
        """One layer; query heads that share a key are rows of one product, so that no key is repeated."""
        attention = layer.self_attn
        q, k, v = attention.project(layer.input_layernorm(x), rope)
        b, t, g = x.shape[0], x.shape[1], self.config.kv_heads
        share, width = self.config.heads // g, self.config.head_width
        q = q.reshape(b, g, share * t, width) * width**-0.5
        scores = torch.cat([q @ side.transpose(-2, -1) for side in (keys, k)], dim=3)
        weights = torch.where(hidden, -1e30, scores).softmax(-1)
        room = keys.shape[2]
        attended = weights[..., :room] @ values + weights[..., room:] @ v
        attended = attended.reshape(b, g * share, t, width).transpose(1, 2).flatten(2)
        x = x + attention.o_proj(attended)
        return x + layer.mlp(layer.post_attention_layernorm(x)), k, v


class VocoderGraph(nn.Module):
    """The convolutions of the vocoder, between the transform of the excitation and the inverse transform."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.inner = copy.copy(vocoder)
        same: Callable[[Tensor], Tensor] = lambda x: x  # noqa: E731 - stands in for a method
        self.inner.__dict__ |= {"spectrum": same, "waveform": same}

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
        spectrum: Tensor,  # [B, 2F, N / hop + 1]
    ) -> Tensor:  # [B, 2F, N / hop + 1] log magnitudes, then raw phases
        out: Any = self.inner.decode(mel, spectrum[:, None])
        return cast(Tensor, out)
