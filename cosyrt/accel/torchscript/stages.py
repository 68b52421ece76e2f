"""Parts of a model that are exported, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cosyrt.accel.torchscript import cosyvoice1, cosyvoice2
from cosyrt.accel.torchscript.archive import Archive, Case
from cosyrt.checkpoint.folder import ModelFolder, WeightsFile
from cosyrt.engine.stages import Networks, Stages

SPEAKING = ("new_cache", "prefill", "step", "read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part that is exported."""

    name: str  # upstream's
    part: WeightsFile  # the file its weights are in
    needs: tuple[str, ...]  # methods without which it cannot be run: upstream's own
    keeps: tuple[str, ...]  # methods kept beside forward
    scripted: Callable[[Networks], nn.Module]
    cases: Callable[[Networks], Iterator[Case]]
    stages: tuple[str, ...]  # that it is part of
    swap: Callable[[Networks, Archive], Networks]
    trial: Callable[[Stages, torch.device], Tensor]  # a short call, to tell an archive of other weights

    def checkpoint(self, folder: ModelFolder) -> Path:
        """File that the weights of this part are read from.

        Raises:
            ModelNotFound: it is not there.
        """
        return folder.weights(self.part)


COMPONENTS: dict[str, tuple[Component, ...]] = {
    "cosyvoice": (
        Component(
            name="llm.text_encoder",
            part="llm",
            needs=("forward",),
            keeps=(),
            scripted=cosyvoice1.scripted_text_encoder,
            cases=cosyvoice1.text_encoder_cases,
            stages=SPEAKING,
            swap=cosyvoice1.swap_text_encoder,
            trial=cosyvoice1.try_text,
        ),
        Component(
            name="llm.llm",
            part="llm",
            needs=("forward", "forward_chunk"),
            keeps=("forward_chunk", "step"),
            scripted=cosyvoice1.scripted_lm,
            cases=cosyvoice1.lm_cases,
            stages=SPEAKING,
            swap=cosyvoice1.swap_lm,
            trial=cosyvoice1.try_text,
        ),
        Component(
            name="flow.encoder",
            part="flow",
            needs=("forward",),
            keeps=(),
            scripted=cosyvoice1.scripted_flow_encoder,
            cases=cosyvoice1.flow_encoder_cases,
            stages=("encode",),
            swap=cosyvoice1.swap_flow_encoder,
            trial=cosyvoice2.trial,
        ),
    ),
    "cosyvoice2": (
        Component(
            name="flow.encoder",
            part="flow",
            needs=("forward",),
            keeps=("forward_chunk",),
            scripted=cosyvoice2.scripted,
            cases=cosyvoice2.cases,
            stages=("encode",),
            swap=cosyvoice2.swap,
            trial=cosyvoice2.trial,
        ),
    ),
}


def components_of(family: str) -> tuple[Component, ...]:
    """Components of a family; none of one that is not listed, and `families.py` says why."""
    return COMPONENTS.get(family, ())
