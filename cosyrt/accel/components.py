"""Which parts of a model are exported, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from cosyrt.accel import upsample
from cosyrt.accel.archive import Archive
from cosyrt.accel.cases import Case
from cosyrt.checkpoint import ModelFolder, Part
from cosyrt.engine.stages import Models, Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part that is exported."""

    name: str  # upstream's
    part: Part  # the file its weights are in
    needs: tuple[str, ...]  # methods without which it cannot be run: upstream's own
    keeps: tuple[str, ...]  # methods kept beside forward
    scripted: Callable[[Models], nn.Module]
    cases: Callable[[Models], Iterator[Case]]
    install: Callable[[Stages, Models, Archive], Stages]

    def checkpoint(self, folder: ModelFolder) -> Path:
        """The file its weights are read from.

        Raises:
            ModelNotFound: it is not there.
        """
        ours = folder.path / f"{self.part}.safetensors"
        return ours if ours.is_file() else folder.file(f"{self.part}.pt")


FLOW_ENCODER_2 = Component(
    name="flow.encoder",
    part="flow",
    needs=("forward",),
    keeps=("forward_chunk",),
    scripted=upsample.scripted,
    cases=upsample.cases,
    install=upsample.install,
)

COMPONENTS: dict[str, tuple[Component, ...]] = {
    "cosyvoice2": (FLOW_ENCODER_2,),
    "cosyvoice3": (),
}
INSTEAD = {
    "cosyvoice3": (
        "CosyVoice 3 has no encoder to export: its flow looks ahead with two convolutions. Its time goes "
        "into the language model (half or quantised weights, CUDA graphs) and the ten steps of the DiT (half "
        "weights, CUDA graphs, TensorRT or OpenVINO)"
    ),
}
