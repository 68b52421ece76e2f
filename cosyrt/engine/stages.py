"""The callables that the engine needs, each with its contract. An accelerator maps stages to faster stages.

The stages of the language model are in `language_stages.py`.

Shapes: B batch · S speech tokens · M mel frames · N samples · H harmonics.
Masks are tensors, never flags, so that an exported graph keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from cosyrt.engine.language_stages import NewCache, Prefill, Read, Step, language_stages
from cosyrt.engine.token_engine import TokenEngine
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.flow import DiTFlow, Flow
from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.llm import SpeechLanguageModel
from cosyrt.models.regulated_flow import RegulatedFlow
from cosyrt.models.source import Phase
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.transformer_lm import TransformerLM
from cosyrt.models.velocity import FlowInputs, Velocity
from cosyrt.models.vocoder import Vocoder

# (tokens [B, S], valid [B, S], mask [B, S, past + S], tokens that follow [B, lookahead] or None,
#  cache of the past or None) → mu [B, 80, M]; of CosyVoice 1 [B, 80, S], for `regulate`, and no past
Encode = Callable[[Tensor, Tensor, Tensor, Tensor | None, StreamCache | None], Tensor]
# (encoded [B, 80, S], pairs of tokens and the frames they become) → mu [B, 80, M]
Regulate = Callable[[Tensor, Sequence[tuple[int, int]]], Tensor]
# speaker vector [B, 192] → [B, 80]
Speaker = Callable[[Tensor], Tensor]
# (mel [B, 80, M], mel that follows [B, 80, lookahead] or None, cache of the past or None)
#  → pitch in Hz [B, M]; a vocoder that looks both ways takes None for the last two
Pitch = Callable[[Tensor, Tensor | None, StreamCache | None], Tensor]
# (pitch [B, M], noise [B, N, H] or None, phase before) → excitation [B, 1, N]
Excite = Callable[[Tensor, Tensor | None, Phase | None], Tensor]
# (mel [B, 80, M], excitation [B, 1, N], mel that follows [B, 80, lookahead] or None, cache of the past or
#  None) → samples [B, N]; a vocoder that looks both ways takes None for the last two
Vocode = Callable[[Tensor, Tensor, Tensor | None, StreamCache | None], Tensor]


KEPT_TIMES = 64  # of the velocity's times: those of a few solvers, for a few batch sizes
Timed = Callable[[Tensor], Tensor]  # t [B] → what a network makes of it [B, P]


class Stages(NamedTuple):
    """The callables that run one model."""

    new_cache: NewCache
    prefill: Prefill
    step: Step
    read: Read
    encode: Encode
    velocity: Velocity
    speaker: Speaker
    pitch: Pitch
    excite: Excite
    vocode: Vocode
    regulate: Regulate | None = None  # CosyVoice 1
    engine: TokenEngine | None = None  # makes speech tokens by itself, in place of `prefill` and `step`

    def replacing(self, **stages: Any) -> Stages:
        """Replace some stages by others, named as the fields are."""
        fields: dict[str, Any] = stages
        return self._replace(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """The three networks of one checkpoint."""

    llm: SpeechLanguageModel | TransformerLM
    flow: Flow | DiTFlow | RegulatedFlow
    vocoder: Vocoder | CausalVocoder

    def to(self, device: torch.device) -> Networks:
        """Move the networks to a device."""
        llm, flow, vocoder = self.llm.to(device), self.flow.to(device), self.vocoder.to(device)
        return replace(self, llm=llm, flow=flow, vocoder=vocoder)

    def parameters(self) -> Iterator[Tensor]:
        """All weights of all networks."""
        return chain.from_iterable(each.parameters() for each in (self.llm, self.flow, self.vocoder))


def tabulated(timed: Timed) -> Timed:
    """Look up what a velocity makes of the time alone: every solve asks for the same ten times.

    In CosyVoice 3 that is two fifths of the velocity's weights, read for two rows of numbers. The time is
    read on the host: it should be there, so that no device is waited for.
    """

    @lru_cache(maxsize=KEPT_TIMES)
    def known(times: tuple[float, ...]) -> Tensor:
        return timed(torch.tensor(times))

    def looked_up(
        t: Tensor,  # [B], or [B, n] of n packed streams
    ) -> Tensor:  # [B, P] or [B, n, P]
        if t.ndim == 2:
            return torch.stack([looked_up(column) for column in t.unbind(1)], dim=1)
        return known(tuple(t.tolist()))

    return looked_up


def eager(networks: Networks) -> Stages:
    """Run the networks by torch, one operation after another; faster stages are compared with these."""
    llm, flow, vocoder = networks.llm.eval(), networks.flow.eval(), networks.vocoder.eval()

    def forward(x: Tensor, positions: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        logp: Tensor = llm(x, positions, mask, cache)
        return logp

    timed = tabulated(flow.velocity.timed)

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:
        out: Tensor = flow.velocity(inputs._replace(t=timed(inputs.t)), cache)
        return out

    stages = Stages(
        new_cache=llm.empty_cache,
        **language_stages(llm, forward)._asdict(),
        encode=flow.encode,
        velocity=velocity,
        speaker=flow.speaker,
        pitch=vocoder.f0,
        excite=vocoder.excitation,
        vocode=vocoder.decode,
        regulate=flow.regulate if isinstance(flow, RegulatedFlow) else None,
    )
    callables = cast(tuple[Callable[..., Any] | None, ...], stages)  # there is no engine
    return Stages._make(stage and torch.inference_mode()(stage) for stage in callables)
