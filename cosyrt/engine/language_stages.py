"""The stages of a language model: what `prefill`, `step` and `read` promise, and what they are made of.

All three embed their input and call one function, which a backend may replace by its own.

Shapes: B batch · T text tokens, or positions of a call · S speech tokens · D width · K positions the cache
shows · V speech vocabulary with stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.llm import SpeechLanguageModel
from cosyrt.models.transformer_lm import TransformerLM

# (rows, positions) → an empty cache of at least that size
NewCache = Callable[[int, int], KeyValueCache]
# (token [B], position [B], mask [B, 1, 1, K], cache) → log-probabilities [B, V]; fills the cache there. Rows
# may stand at different positions
Step = Callable[[Tensor, Tensor, Tensor, KeyValueCache], Tensor]
# (numbers [B, T], their kinds [B, T] (models/llm.py), positions [B, T], mask [B, 1, T, K], cache)
#  → log-probabilities [B, V] after the last; fills the cache there. Not of CosyVoice 1
Read = Callable[[Tensor, Tensor, Tensor, Tensor, KeyValueCache], Tensor]
# (embeddings [B, T, D], positions [B, T], mask [B, 1, T, K], cache) → log-probabilities [B, V] after the last
Forward = Callable[[Tensor, Tensor, Tensor, KeyValueCache], Tensor]


class Prefill(Protocol):
    """Reads text and prompt at once; fills the cache from position 0, each row as far as it is valid."""

    def __call__(
        self,
        text: Tensor,  # [B, T] transcript of the prompt, then the text to speak
        speech: Tensor,  # [B, S] speech tokens of the prompt
        cache: KeyValueCache,
        speaker: Tensor | None = None,  # [B, 192] speaker vector, CosyVoice 1; where given it has a position
        valid: Tensor | None = None,  # [B, T + S] False where a row is padded; None: nowhere
        /,
    ) -> Tensor:  # [B, V] log-probabilities
        ...


class LanguageStages(NamedTuple):
    """The three ways to run a language model."""

    prefill: Prefill
    step: Step
    read: Read


def language_stages(llm: SpeechLanguageModel | TransformerLM, forward: Forward) -> LanguageStages:
    """Stages that embed with the network and run the rest of it by `forward`; without inference mode."""

    def prefill(
        text: Tensor,
        speech: Tensor,
        cache: KeyValueCache,
        speaker: Tensor | None = None,
        valid: Tensor | None = None,
        /,
    ) -> Tensor:
        if isinstance(llm, TransformerLM):
            x = llm.prompt(text, speech, speaker)
        else:
            assert speaker is None, "only CosyVoice 1 reads the speaker"
            x = llm.prompt(text, speech)
        if valid is None:
            length = x.shape[1]
            positions = torch.arange(length, device=x.device).expand(len(x), -1)
            mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            return forward(x, positions, mask.expand(len(x), 1, -1, -1), cache)
        x, positions = padding_first(x, valid_of_prompt(valid, text.shape[1], speaker is not None))
        mask = torch.arange(x.shape[1], device=x.device) <= positions[..., None]
        return forward(x, positions, mask[:, None], cache)

    def step(token: Tensor, position: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        return forward(llm.speech_embedding(token)[:, None], position[:, None], mask, cache)

    def read(numbers: Tensor, kinds: Tensor, positions: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        assert isinstance(llm, SpeechLanguageModel), "CosyVoice 1 reads its text whole"
        return forward(llm.mixed(numbers, kinds), positions, mask, cache)

    return LanguageStages(prefill, step, read)


def valid_of_prompt(
    valid: Tensor,  # [B, T + S]
    text_tokens: int,  # T
    with_speaker: bool,
) -> Tensor:  # [B, T']
    """Which places of the embedded prompt are not padding: its marks and the speaker never are."""
    text, speech = valid[:, :text_tokens], valid[:, text_tokens:]
    mark = valid.new_ones(len(valid), 1)
    return torch.cat([mark, *[mark] * with_speaker, text, mark, speech], dim=1)


def padding_first(
    x: Tensor,  # [B, T, D]
    valid: Tensor,  # [B, T]
) -> tuple[Tensor, Tensor]:  # [B, T, D] and positions [B, T]
    """Put the padding of each row in front of the call and behind the row's end in the cache.

    So every row ends with its last valid embedding, has its positions from 0 on, and sees no padding, without
    a word of it to the network. What padding leaves in the cache is written over by the tokens that follow.
    """
    order = valid.byte().argsort(dim=1, stable=True)
    padding = (~valid).sum(1, keepdim=True)
    positions = (torch.arange(x.shape[1], device=x.device) - padding) % x.shape[1]
    return x.gather(1, order[..., None].expand_as(x)), positions
