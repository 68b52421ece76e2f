"""Whole speech in chunks, as it is streamed: what is gained where the prompt of a voice is computed once.

Said whole, every frame attends to its whole piece, and so does the prompt: it is solved again for each piece.
With the chunk mask, which the models were trained with as well, the prompt depends on nothing that follows,
and is kept. The samples are those of the stream, not those of the whole piece, so this must be allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from cosyrt.accel.contract import Part
from cosyrt.accel.registry import accelerated
from cosyrt.engine.chunks import Chunking
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.lab.approximate import decibels
from cosyrt.lab.timing import Speedup, TimingConfig, interleaved, timed
from cosyrt.lab.workload import PROMPT_TOKENS, Length, Workload, WorkloadUtterance, settle
from cosyrt.models.solver import Solver

LENGTHS = (Length(50, PROMPT_TOKENS, False), Length(97, PROMPT_TOKENS, False))  # of 2 and 4 s after 3
WHOLE, WHOLE_AGAIN, CHUNKED = "whole", "whole again", "chunked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedTrial:
    """How fast tokens become mel in chunks, beside whole pieces, and how far the two are apart."""

    flow: Speedup | None = None  # None: not timed
    floor: float = 1.0  # speed-up that the A/A run makes a claim
    distance_db: float = 0.0  # of the mel from that of the whole piece
    why: str = ""  # it was not timed

    @property
    def wins(self) -> bool:
        """Whether it is faster beyond the noise."""
        return self.flow is not None and self.flow.low > self.floor


class Speaker:
    """Makes mels of one model with a voice that is known."""

    def __init__(self, model: Model, stages: Stages, solver: Solver | None) -> None:
        self.model, self.stages = model, stages
        self.config = replace(model.settings.flow, approximation=solver or model.settings.flow.approximation)
        self.conditions: dict[str, Condition] = {}

    def mel(self, utterance: WorkloadUtterance, *, chunked: bool) -> Tensor:  # [1, 80, M]
        """The mel of an utterance; in chunks the prompt of its voice is kept."""
        known, voice = self.conditions, utterance.voice
        if voice.digest not in known:
            known[voice.digest] = Condition.of(voice, self.stages, self.model.device)
        make = self.model.settings.mel_stream
        stream = make(self.stages, self.config, known[voice.digest], chunked=chunked)
        return stream.until(utterance.speech, None)


def chunked_trial(
    folder: str,
    device: str | None,
    parts: dict[Part, str],
    solver: Solver | None,
    seconds: float,
    threads: int,
) -> ChunkedTrial:
    """Time whole pieces and chunks in turn, on a model that runs by these parts and this solver."""
    torch.set_num_threads(threads)
    model = Model.open(folder, device)
    if not isinstance(model.settings.chunking, Chunking):
        return ChunkedTrial(why="its flow looks both ways and keeps no prompt")
    workload = Workload(model)
    speaker = Speaker(model, accelerated(parts)(model) if parts else model.plain, solver)
    utterances = [workload.utterance(length, number) for number, length in enumerate(LENGTHS)]

    def run(chunked: bool, case: int) -> None:
        speaker.mel(utterances[case], chunked=chunked)

    settled = partial(settle, model.device)
    ways = {WHOLE: False, WHOLE_AGAIN: False, CHUNKED: True}
    runs = {name: timed(partial(run, chunked), settle=settled) for name, chunked in ways.items()}
    found = interleaved(runs, range(len(utterances)), TimingConfig(early_passes=1, budget_s=seconds))
    pairs = [[speaker.mel(each, chunked=chunked) for chunked in (True, False)] for each in utterances]
    return ChunkedTrial(
        flow=found.speedup(CHUNKED, WHOLE),
        floor=found.speedup(WHOLE_AGAIN, WHOLE).floor,
        distance_db=sum(decibels(*pair) for pair in pairs) / len(pairs),
    )
