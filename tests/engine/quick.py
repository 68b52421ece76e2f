"""A pipeline whose stages cost nothing: the tiny model's texts and tokens, a hum in place of speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cosyrt.engine.pipeline import Pipeline

SAMPLES = 480  # of a mel frame


def quick(tiny: Pipeline, most_per_text: float = 4.0, **stages: Callable[..., Any]) -> Pipeline:
    """The tiny model with stages that only make what has the right shape; some may be given."""
    settings = tiny.model.settings
    vocabulary = settings.decoding.end_token + 3
    table = torch.randn(vocabulary, vocabulary, generator=torch.Generator().manual_seed(0))
    logp = (3 * table).log_softmax(-1)

    def step(token: Tensor, position: Tensor, mask: Tensor, cache: Any) -> Tensor:
        return logp[token]

    def prefill(text: Tensor, speech: Tensor, cache: Any, *speaker: Tensor) -> Tensor:
        return logp[text[:, -1] % vocabulary]

    def read(numbers: Tensor, kinds: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        return logp[numbers[:, -1] % vocabulary]

    def encode(tokens: Tensor, *rest: Any) -> Tensor:
        return torch.zeros(len(tokens), 80, 2 * tokens.shape[1])

    def vocode(mel: Tensor, *rest: Any) -> Tensor:
        return 0.1 * torch.sin(torch.arange(mel.shape[2] * SAMPLES) / 10)[None].expand(len(mel), -1)

    made = {
        "step": step,
        "prefill": prefill,
        "read": read,
        "encode": encode,
        "velocity": lambda inputs, cache: torch.zeros_like(inputs.x),
        "pitch": lambda mel, *rest: torch.zeros(len(mel), mel.shape[2]),
        "excite": lambda pitch, *rest: torch.zeros(len(pitch), 1, pitch.shape[1] * SAMPLES),
        "vocode": vocode,
    }
    decoding = replace(settings.decoding, least_per_text=most_per_text / 2, most_per_text=most_per_text)
    model = replace(
        tiny.model,
        stages=tiny.model.stages._replace(**{**made, **stages}),
        settings=replace(settings, decoding=decoding),
    )
    return Pipeline(model)
