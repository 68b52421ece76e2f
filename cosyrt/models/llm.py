"""text tokens → speech tokens: the Qwen2 language model of CosyVoice 2 and 3.

Shapes: B batch · T positions of this call · K positions the cache shows · C cache capacity · D width ·
H query heads · G key/value heads · E head width · L layers · V speech vocabulary with its stop tokens.
Source: Qwen2 (arXiv:2407.10671), CosyVoice 2 (arXiv:2412.10117) and 3 (arXiv:2505.17589), upstream's
`llm/llm.py` (Qwen2LM, CosyVoice3LM).
The text vocabulary's own head is never built: speech needs only the few thousand rows of `llm_decoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.kv_cache import KeyValueCache, PlainCache
from cosyrt.ranges import LAYERS, SIZE, FloatRange

START, TASK = 0, 1  # the marks, in CosyVoice 2 rows of `llm_embedding`
TEXT, SPEECH, MARK = 0, 1, 2  # what a number of a mixed sequence stands for
STOP_TOKENS = 3  # end of speech, and two that training used for other ends
SHARED_START, SHARED_TASK, SHARED_ROWS = 0, 2, 200  # CosyVoice 3: rows after the speech tokens; 1 ends speech
WORDS = "backbone.embed_tokens"  # a third of all weights, of which a text looks up a few rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelConfig:
    """Sizes: the backbone's from its config.json, the speech side's from the model description."""

    width: int = 896
    feed_forward: int = 4864
    layers: int = 24
    heads: int = 14
    kv_heads: int = 2
    text_vocabulary: int = 151_936
    rope_theta: float = 1e6
    norm_eps: float = 1e-6
    speech_vocabulary: int = 6561
    shared_marks: bool = False  # CosyVoice 3: the marks are rows of `speech_embedding`, the head has no bias

    @classmethod
    def from_description(
        cls, args: Mapping[str, Any], backbone: Mapping[str, Any], *, shared_marks: bool = False
    ) -> LanguageModelConfig:
        """Read the arguments of upstream's `Qwen2LM` or `CosyVoice3LM`, and its backbone's `config.json`."""
        return cls(
            width=SIZE.of(backbone, "hidden_size"),
            feed_forward=SIZE.of(backbone, "intermediate_size"),
            layers=LAYERS.of(backbone, "num_hidden_layers"),
            heads=SIZE.of(backbone, "num_attention_heads"),
            kv_heads=SIZE.of(backbone, "num_key_value_heads"),
            text_vocabulary=SIZE.of(backbone, "vocab_size"),
            rope_theta=FloatRange(1, 1e12).of(backbone, "rope_theta", 1e6),
            norm_eps=FloatRange(0, 1).of(backbone, "rms_norm_eps", 1e-6),
            speech_vocabulary=SIZE.of(args, "speech_token_size"),
            shared_marks=shared_marks,
        )

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def end_token(self) -> int:
        """The speech token that ends an utterance; the ones above it stop it too."""
        return self.speech_vocabulary


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, T, D]
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


def rotate(
    x: Tensor,  # [B, H, T, E]
    cos: Tensor,  # [B, 1, T, E]
    sin: Tensor,  # [B, 1, T, E]
) -> Tensor:  # [B, H, T, E]
    """Rotary position embedding over the two halves of a head (arXiv:2104.09864)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class Attention(nn.Module):
    """Grouped-query attention; writes its keys and values into the cache it is given."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = c = config
        self.q_proj = nn.Linear(c.width, c.heads * c.head_width)
        self.k_proj = nn.Linear(c.width, c.kv_heads * c.head_width)
        self.v_proj = nn.Linear(c.width, c.kv_heads * c.head_width)
        self.o_proj = nn.Linear(c.heads * c.head_width, c.width, bias=False)

    def project(
        self,
        x: Tensor,  # [B, T, D]
        rope: tuple[Tensor, Tensor],  # cos and sin, each [B, 1, T, E]
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, H, T, E], [B, G, T, E], [B, G, T, E]
        """Queries, keys and values, the first two rotated by their positions."""
        q, k, v = (
            proj(x).unflatten(-1, (-1, self.config.head_width)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        heads = [self.config.heads, self.config.kv_heads]
        # One rotation of both: for a single token each operation costs more to ask for than to do.
        q, k = torch.split(rotate(torch.cat([q, k], dim=1), *rope), heads, dim=1)
        return q, k, v

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        rope: tuple[Tensor, Tensor],  # cos and sin, each [B, 1, T, E]
        mask: Tensor | None,  # [B, 1, T, K] True where a position may look; None: everything before itself
        cache: tuple[Tensor, ...] | None,  # this layer's keys and values, each [B, G, C, E]
        positions: Tensor,  # [B, T]
    ) -> Tensor:  # [B, T, D]
        q, k, v = self.project(x, rope)
        if cache is not None:
            assert mask is not None
            where = positions[:, None, :, None].expand_as(k)
            keys, values = cache
            k = keys.scatter_(2, where, k)[:, :, : mask.shape[-1]]
            v = values.scatter_(2, where, v)[:, :, : mask.shape[-1]]
        grouped = self.config.heads != self.config.kv_heads
        attended = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
        )
        out: Tensor = self.o_proj(attended.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.feed_forward, bias=False)
        self.up_proj = nn.Linear(config.width, config.feed_forward, bias=False)
        self.down_proj = nn.Linear(config.feed_forward, config.width, bias=False)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, T, D]
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to its input."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: tuple[Tensor, ...] | None,
        positions: Tensor,  # [B, T]
    ) -> Tensor:  # [B, T, D]
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache, positions)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Backbone(nn.Module):
    """The Qwen2 stack: embeddings in, hidden states after the last norm out."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.text_vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)

    def rope(
        self,
        positions: Tensor,  # [B, T]
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:  # cos and sin, each [B, 1, T, E]
        """Rotary embedding of each position, computed in float32."""
        width = self.config.head_width
        half = torch.arange(0, width, 2, device=positions.device) / width
        angles = positions[:, None, :, None].float() * self.config.rope_theta**-half
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T] where each input stands in its sequence
        mask: Tensor | None = None,  # [B, 1, T, K] True where a position may look; None: all before
        cache: KeyValueCache | None = None,
    ) -> Tensor:  # [B, T, D]
        rope = self.rope(positions, x.dtype)
        states = [None] * len(self.layers) if cache is None else cache.layers()
        for layer, state in zip(self.layers, states, strict=True):
            x = layer(x, rope, mask, state, positions)
        out: Tensor = self.norm(x)
        return out


class SpeechLanguageModel(nn.Module):
    """Backbone plus the speech side: two marks, speech embeddings in, speech logits out."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        shared = config.shared_marks
        rows = config.speech_vocabulary + (SHARED_ROWS if shared else STOP_TOKENS)
        self.backbone = Backbone(config)
        self.llm_embedding = None if shared else nn.Embedding(2, config.width)
        self.speech_embedding = nn.Embedding(rows, config.width)
        self.llm_decoder = nn.Linear(config.width, rows, bias=not shared)

    def mark(
        self,
        number: Tensor,  # [B, T] START or TASK
    ) -> Tensor:  # [B, T, D]
        """Embeddings of the marks."""
        if self.llm_embedding is not None:
            table: Tensor = self.llm_embedding(number)
            return table
        row = torch.where(number == START, SHARED_START, SHARED_TASK)
        out: Tensor = self.speech_embedding(self.config.speech_vocabulary + row)
        return out

    def prompt(
        self,
        text: Tensor,  # [B, T] transcript of the prompt followed by the text to speak
        speech: Tensor,  # [B, S] speech tokens of the prompt; S may be 0
    ) -> Tensor:  # [B, 1 + T + 1 + S, D]
        """Embed the sequence that comes before speech: start, text, task, prompt speech."""
        start, task = (self.mark(torch.full_like(text[:, :1], number)) for number in (START, TASK))
        words = self.backbone.embed_tokens(text)
        return torch.cat([start, words, task, self.speech_embedding(speech)], dim=1)

    def mixed(
        self,
        numbers: Tensor,  # [B, T]
        kinds: Tensor,  # [B, T] TEXT, SPEECH or MARK
    ) -> Tensor:  # [B, T, D]
        """Embed text, speech and marks in any order: text that is read while it is spoken."""
        x = self.backbone.embed_tokens(numbers * (kinds == TEXT))
        speech, mark = kinds == SPEECH, kinds == MARK
        x = torch.where(speech[..., None], self.speech_embedding(numbers * speech), x)
        return torch.where(mark[..., None], self.mark(numbers * mark), x)

    def empty_cache(self, rows: int, positions: int) -> PlainCache:
        """Make a cache of that many positions for that many sequences."""
        c, weight = self.config, self.llm_decoder.weight
        keys = weight.new_zeros(c.layers, rows, c.kv_heads, positions, c.head_width)
        return PlainCache(keys, torch.zeros_like(keys))

    def forward(
        self,
        x: Tensor,  # [B, T, D] embeddings
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, V] log-probabilities of the token after the last position
        hidden = self.backbone(x, positions, mask, cache)[:, -1]
        return F.log_softmax(self.llm_decoder(hidden).float(), dim=-1)
