"""text tokens → speech tokens: the transformer language model of CosyVoice 1.

Shapes: B batch · T positions of this call · K positions the cache shows · C cache capacity · D width ·
H heads · E head width · L layers · V speech vocabulary with its end.
Source: CosyVoice (arXiv:2407.05407), relative positions as in Transformer-XL (arXiv:1901.02860); upstream's
`llm/llm.py` (TransformerLM), `transformer/encoder.py`, `attention.py`.
Upstream projects the sinusoids of all distances again for every token, in every layer. They depend on the
weights alone, so the cache keeps them: the position n brings one new distance, n.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import (
    LAYER_NORM_EPS,
    BlocksConfig,
    Conformer,
    FeedForward,
    InputLayer,
    RelativeAttention,
    sinusoids,
)
from cosyrt.models.kv_cache import KeyValueCache, RelativeCache
from cosyrt.ranges import SIZE

START, TASK = 0, 1  # rows of `llm_embedding`


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerLMConfig:
    """Sizes of both stacks and of the three vocabularies."""

    text: BlocksConfig = BlocksConfig(width=1024, heads=16, feed_forward=4096)
    speech: BlocksConfig = BlocksConfig(inputs=1024, width=1024, heads=16, feed_forward=4096, layers=14)
    text_vocabulary: int = 51_866
    speech_vocabulary: int = 4096
    speaker_width: int = 192

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> TransformerLMConfig:
        """Read the arguments of upstream's `TransformerLM` in a model description."""
        return cls(
            text=BlocksConfig.from_description(args["text_encoder"].args),
            speech=BlocksConfig.from_description(args["llm"].args),
            text_vocabulary=SIZE.of(args, "text_token_size"),
            speech_vocabulary=SIZE.of(args, "speech_token_size"),
            speaker_width=SIZE.of(args, "spk_embed_dim"),
        )

    @property
    def end_token(self) -> int:
        """The speech token that ends an utterance."""
        return self.speech_vocabulary


class CachedAttention(RelativeAttention):
    """Self-attention over the past, whose keys, values and distances are in the cache it is given."""

    def step(
        self,
        x: Tensor,  # [B, T, D]
        waves: Tensor,  # [1, T', D] sinusoids of the distances that are new
        rows: Tensor,  # [T'] which they are
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K] True where a position may look, never to its right
        cache: tuple[Tensor, ...],  # this layer's, [B, H, C, E] twice and [1, H, C, E]
    ) -> Tensor:  # [B, T, D]
        """Write new keys, values and distances into the cache, then attend to all that `mask` shows."""
        keys, values, distances = cache
        shown = mask.shape[-1]
        q, k, v = (self.split(proj(x)) for proj in (self.linear_q, self.linear_k, self.linear_v))
        where = positions[:, None, :, None].expand_as(k)
        k = keys.scatter_(2, where, k)[:, :, :shown]
        v = values.scatter_(2, where, v)[:, :, :shown]
        p = distances.index_copy_(2, rows, self.split(self.linear_pos(waves)))[:, :, :shown]
        scale = 1 / sqrt(q.shape[-1])
        far = (q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1) * scale
        left = (positions[:, None, :, None] - torch.arange(shown, device=x.device)).clamp(min=0)
        bias = far.gather(-1, left.expand_as(far)).masked_fill(~mask, float("-inf"))
        near = q + self.pos_bias_u[:, None]
        attended = F.scaled_dot_product_attention(near, k, v, attn_mask=bias, scale=scale)
        out: Tensor = self.linear_out(attended.transpose(1, 2).flatten(2))
        return out


class Positive(FeedForward):
    """Two linear maps around a ReLU."""

    def forward(
        self,
        x: Tensor,  # [B, T, D]
    ) -> Tensor:  # [B, T, D]
        out: Tensor = self.w_2(F.relu(self.w_1(x)))
        return out


class PositiveInput(InputLayer):
    """Linear, norm and ReLU, then the scaling."""

    def forward(
        self,
        x: Tensor,  # [B, T, inputs]
    ) -> Tensor:  # [B, T, D]
        return F.relu(self.out(x)) * self.scale


class Layer(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to its input."""

    def __init__(self, config: BlocksConfig) -> None:
        super().__init__()
        self.self_attn = CachedAttention(config.width, config.heads)
        self.feed_forward = Positive(config.width, config.feed_forward)
        self.norm1 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.norm2 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        waves: Tensor,  # [1, T', D]
        rows: Tensor,  # [T']
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        cache: tuple[Tensor, ...],
    ) -> Tensor:  # [B, T, D]
        x = x + self.self_attn.step(self.norm1(x), waves, rows, positions, mask, cache)
        out: Tensor = x + self.feed_forward(self.norm2(x))
        return out


class CachedTransformer(nn.Module):
    """The autoregressive stack: embeddings in, hidden states after the last norm out."""

    def __init__(self, config: BlocksConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = PositiveInput(config.inputs, config.width)
        self.encoders = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.after_norm = nn.LayerNorm(config.width)

    def forward(
        self,
        x: Tensor,  # [B, T, D]
        positions: Tensor,  # [B, T] where each input stands in its sequence
        mask: Tensor,  # [B, 1, T, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, T, D]
        x = self.embed(x)
        rows = positions.flatten()  # rows of a batch may bring the same distance: they agree on it
        waves = sinusoids(rows, self.config.width).to(x.dtype)[None]
        for layer, state in zip(self.encoders, cache.layers(), strict=True):
            x = layer(x, waves, rows, positions, mask, state)
        out: Tensor = self.after_norm(x)
        return out


class TransformerLM(nn.Module):
    """Text encoder, speech side and the stack between them."""

    def __init__(self, config: TransformerLMConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.speech.inputs
        self.text_embedding = nn.Embedding(c.text_vocabulary, c.text.inputs)
        self.text_encoder = Conformer(c.text)
        self.text_encoder_affine_layer = nn.Linear(c.text.width, width)
        self.llm_embedding = nn.Embedding(2, width)
        self.llm = CachedTransformer(c.speech)
        self.llm_decoder = nn.Linear(c.speech.width, c.speech_vocabulary + 1)
        self.speech_embedding = nn.Embedding(c.speech_vocabulary, width)
        self.spk_embed_affine_layer = nn.Linear(c.speaker_width, width)

    def read_text(
        self,
        text: Tensor,  # [B, T]
    ) -> Tensor:  # [B, T, D]
        """Encode the text; a token attends to itself and to those before it."""
        before = torch.ones(text.shape[1], text.shape[1], dtype=torch.bool, device=text.device).tril()
        attended = self.text_encoder(self.text_embedding(text), before.expand(text.shape[0], -1, -1))
        out: Tensor = self.text_encoder_affine_layer(attended)
        return out

    def prompt(
        self,
        text: Tensor,  # [B, T] transcript or instruction followed by the text to speak
        speech: Tensor,  # [B, S] speech tokens of the prompt; S may be 0
        speaker: Tensor | None = None,  # [B, 192] speaker vector of any norm; None: the model is not given it
    ) -> Tensor:  # [B, T', D]
        """Embed the sequence that comes before speech: start, speaker, text, task, prompt speech."""
        start, task = (self.llm_embedding(torch.full_like(text[:, :1], mark)) for mark in (START, TASK))
        who = [] if speaker is None else [self.spk_embed_affine_layer(F.normalize(speaker, dim=1))[:, None]]
        return torch.cat([start, *who, self.read_text(text), task, self.speech_embedding(speech)], dim=1)

    def empty_cache(self, rows: int, positions: int) -> RelativeCache:
        """Make a cache of that many positions for that many sequences."""
        c = self.config.speech
        shape = (c.layers, rows, c.heads, positions, c.width // c.heads)
        keys = self.llm_decoder.weight.new_zeros(shape)
        return RelativeCache(keys, torch.zeros_like(keys), torch.zeros_like(keys[:, :1]))

    def forward(
        self,
        x: Tensor,  # [B, T, D] embeddings
        positions: Tensor,  # [B, T]
        mask: Tensor,  # [B, 1, T, K]
        cache: KeyValueCache,
    ) -> Tensor:  # [B, V] log-probabilities of the token after the last position
        hidden = self.llm(x, positions, mask, cache)[:, -1]
        return F.log_softmax(self.llm_decoder(hidden).float(), dim=-1)
