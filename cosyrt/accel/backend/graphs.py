"""Heavy calls of a model as modules that can be traced: tensors in, tensors out, state included.

The networks are the model's own; here their stream cache is made of tensors, and all that depends on the time
alone is computed before. The attention mask is an input of every graph, never a flag.

Shapes: B batch · M mel frames · T positions of a call · K = past + T positions to look at · R positions of a
past that there is room for · L layers · H query heads · G key/value heads · E head width · D width ·
V speech vocabulary with stops.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.engine.stages import tabulated
from cosyrt.models.dit import DiT
from cosyrt.models.full_unet import FullUNet
from cosyrt.models.llm import Layer, SpeechLanguageModel
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.unet import CausalUNet
from cosyrt.models.velocity import FlowInputs
from cosyrt.models.vocoder import Vocoder

SlotKind = Literal["left context", "keys or values"]  # as in models/layers.py


class TensorCache(StreamCache):
    """Stream cache of a graph: slots come in as tensors, and what is new goes out as tensors, in order."""

    def __init__(self, slots: list[Tensor] | None) -> None:
        super().__init__()
        self.slots_in = slots  # None: nothing is known yet, every call site starts from nothing
        self.slots_out: list[Tensor] = []
        self.kinds: list[SlotKind] = []

    def left_context(
        self,
        x: Tensor,  # [B, C, T]
        reach: int,
    ) -> Tensor:  # [B, C, reach + T]
        """Put the last positions before x in front of x; the last of both go out."""
        past = x.new_zeros(*x.shape[:2], reach) if self.slots_in is None else self.slots_in[len(self.kinds)]
        joined = torch.cat([past, x], dim=2)
        self.kinds.append("left context")
        self.slots_out.append(joined[:, :, -reach:])
        return joined

    def append(
        self,
        x: Tensor,  # [B, H, T, E] keys or values
    ) -> Tensor:  # [B, H, past + T, E]
        """Append keys or values to those that came in; only the new ones go out."""
        past = x[:, :, :0] if self.slots_in is None else self.slots_in[len(self.kinds)]
        self.kinds.append("keys or values")
        self.slots_out.append(x)
        return torch.cat([past, x], dim=2)


def keep(cache: StreamCache | None, kinds: list[SlotKind], new: list[Tensor]) -> None:
    """Write what a graph gave out to the cache, as the plain network would have."""
    if cache is None:
        return
    for kind, tensor in zip(kinds, new, strict=True):
        if kind == "left context":
            cache.left_context(tensor, tensor.shape[2])
        else:
            cache.append(tensor)


class VelocityGraph(nn.Module):
    """Velocity network over flat tensors: inputs, what it makes of time and positions, and the cache's slots.

    Sinusoids of a graph in bf16 put the velocity 23 % off, and angles that grow with the position more and
    more: both stay outside, in float32. `whole`: without a cache.
    """

    def __init__(self, velocity: CausalUNet | DiT | FullUNet, *, whole: bool = False) -> None:
        super().__init__()
        self.has_cache = not whole and not isinstance(velocity, FullUNet)  # that one looks both ways
        self.inner = velocity
        self.timed = torch.inference_mode()(tabulated(velocity.timed))

    def forward(
        self,
        x: Tensor,  # [B, 80, M]
        valid: Tensor,  # [B, 1, M]
        mask: Tensor,  # [B, M, K]
        mu: Tensor,  # [B, 80, M]
        time: Tensor,  # [B, P] what `timed` makes of the time
        speaker: Tensor,  # [B, 80]
        prompt: Tensor,  # [B, 80, M]
        *rest: Tensor,  # what `positions` makes of the frames, then the slots of the cache
    ) -> tuple[Tensor, ...]:  # [B, 80, M] and what is new in the cache
        inputs = FlowInputs(x, valid, mask, mu, time, speaker, prompt)
        rope, slots = (rest[:2], rest[2:]) if isinstance(self.inner, DiT) else ((), rest)
        cache = TensorCache(list(slots)) if self.has_cache else None
        out = self.inner(inputs, cache, *((rope,) if rope else ()))
        return (out,) if cache is None else (out, *cache.slots_out)

    @torch.inference_mode()
    def positions(self, start: int, end: int) -> tuple[Tensor, ...]:
        """Rotary positions of those frames: of a DiT two tensors [1, M, E / 2], of a U-Net none."""
        return self.inner.rope(torch.arange(start, end)[None]) if isinstance(self.inner, DiT) else ()

    def empty(self, batch: int, bins: int) -> tuple[list[Tensor], list[SlotKind]]:
        """Slots of an empty cache and their kinds, found by one short call."""
        if not self.has_cache:
            return [], []
        cache, frames = TensorCache(None), 4
        where = next(self.inner.parameters()).device
        mel = torch.zeros(batch, bins, frames, device=where)
        mask = torch.ones(batch, frames, frames, dtype=torch.bool, device=where)
        time = self.timed(torch.zeros(batch))
        self.inner(FlowInputs(mel, mel[:, :1] + 1, mask, mel, time, mel[:, :, 0], mel), cache)
        slots = [
            torch.zeros_like(new) if kind == "left context" else new[:, :, :0]
            for new, kind in zip(cache.slots_out, cache.kinds, strict=True)
        ]
        return slots, cache.kinds


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
    """Convolutions of the vocoder, between the transform of the excitation and the inverse transform."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.inner = vocoder

    def forward(
        self,
        mel: Tensor,  # [B, 80, M]
        spectrum: Tensor,  # [B, 2F, N / hop + 1]
    ) -> Tensor:  # [B, 2F, N / hop + 1] log magnitudes, then raw phases
        return self.inner.filtered(mel, spectrum)
