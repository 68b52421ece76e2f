"""Utterances that are spoken together: parity and time of a model under several streams.

One stream says little about many: a batch is another shape, and what is faster for one may be slower for
eight. Every call is made by the code that serves many in earnest: rows of one key/value cache, packed Euler
steps, one call of the vocoder for streams of the same size.

Shapes: S steps · B streams · V speech vocabulary with stops · M mel frames · N samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cosyrt.accel.contract import Part, Precision
from cosyrt.accel.distance import divergence, finite_distance
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.engine.vocoder_stream import vocode_together
from cosyrt.lab.parity import Distances, Parity, sound_distance, whole_float32, why_not
from cosyrt.lab.workload import (
    EULER_STEPS_TIMED,
    EXCITATION_SEED,
    Length,
    StageCall,
    TimedStages,
    Workload,
    WorkloadUtterance,
    chunks_of,
    even_mel,
    language_calls,
    log_probabilities,
    mel_of,
    probabilities_together,
    samples_of,
)
from cosyrt.models.solver import Solving, step
from cosyrt.models.velocity import Velocity

STAGGER = 3  # tokens by which utterances that are checked together differ in length
CHECKED_TOKENS = 40


def crowd(workload: Workload, streams: int) -> list[WorkloadUtterance]:
    """Make utterances of other words, voices' prompts and lengths, to be checked together."""
    lengths = (Length(CHECKED_TOKENS + STAGGER * n, 0 if n % 2 else 31, True) for n in range(streams))
    return [workload.utterance(length, number) for number, length in enumerate(lengths)]


def verify_together(
    model: Model, part: Part, precision: Precision, other: Stages, utterances: list[WorkloadUtterance]
) -> Parity:
    """Compare one part of `other` for all utterances at once with the plain stages for each alone."""
    with whole_float32():
        if part == "llm":
            distances = _llm(model, other, utterances)
        elif part == "vocode":
            distances = _vocode(model, other, utterances)
        else:
            distances = _flow(model, other, utterances)
    return Parity(precision=precision, distances=distances, why=why_not(precision, distances))


def _llm(model: Model, other: Stages, utterances: list[WorkloadUtterance]) -> Distances:
    fast = probabilities_together(model, other, utterances, CHECKED_TOKENS)
    plain = (log_probabilities(model, model.plain, each, CHECKED_TOKENS) for each in utterances)
    apart = (finite_distance(one, two, divergence) for one, two in zip(plain, fast.unbind(1), strict=True))
    return Distances(expectation=max(apart))


def _flow(model: Model, other: Stages, utterances: list[WorkloadUtterance]) -> Distances:
    fast = mels_together(model, other, utterances)
    plain = (mel_of(model, model.plain, each) for each in utterances)
    apart = (
        finite_distance(one, two, lambda a, b: float((a - b).abs().mean()))
        for one, two in zip(plain, fast, strict=True)
    )
    return Distances(solve=max(apart))


def _vocode(model: Model, other: Stages, utterances: list[WorkloadUtterance]) -> Distances:
    mels = [mel_of(model, model.plain, each)[:, :, : 2 * CHECKED_TOKENS] for each in utterances]
    fast = samples_together(model, other, mels)
    plain = (samples_of(model, model.plain, mel) for mel in mels)
    return Distances(audio=max(sound_distance(model, *pair) for pair in zip(plain, fast, strict=True)))


def mels_together(
    model: Model, stages: Stages, utterances: Sequence[WorkloadUtterance], steps: int | None = None
) -> list[Tensor]:  # [1, 80, M] each
    """Mel of the given speech tokens, the Euler steps of all utterances taken together, chunk by chunk."""
    settings = model.settings
    config = settings.flow if steps is None else replace(settings.flow, steps=steps)
    streams = [
        settings.mel_stream(
            stages, config, Condition.of(each.voice, stages, model.device), chunked=each.chunked
        )
        for each in utterances
    ]
    chunks = [list(chunks_of(model, each)) for each in utterances]
    parts: list[list[Tensor]] = [[] for _ in utterances]
    for turn in range(max(map(len, chunks))):
        solving = {
            number: stream.solving(
                utterances[number].speech[: chunks[number][turn][0]], chunks[number][turn][1]
            )
            for number, stream in enumerate(streams)
            if turn < len(chunks[number])
        }
        for number, mel in _solved(stages.velocity, solving).items():
            parts[number].append(mel)
    return [torch.cat(each, dim=2) for each in parts]


def _solved(velocity: Velocity, solving: Mapping[int, Solving]) -> dict[int, Tensor]:  # [1, 80, M] each
    """Take all steps of all these, together."""
    states, mels = {number: next(each) for number, each in solving.items()}, dict[int, Tensor]()
    while states:
        step(velocity, list(states.values()))
        for number in [number for number, state in states.items() if state.done]:
            try:
                states[number] = next(solving[number])
            except StopIteration as end:
                mels[number] = end.value
                del states[number]
    return mels


def samples_together(
    model: Model,
    stages: Stages,
    mels: Sequence[Tensor],  # [1, 80, M] each
) -> list[Tensor]:  # [N] each
    """Samples of several mels, with the same noise for each."""
    pushes = []
    for mel in mels:
        noise = torch.Generator().manual_seed(EXCITATION_SEED)
        stream = model.settings.vocoder_stream(stages, model.settings.vocoder, noise)
        pushes.append(stream.pushing(mel, True))
    calls = [next(pushing) for pushing in pushes]
    samples = vocode_together(stages.vocode, calls)
    found = []
    for pushing, own in zip(pushes, samples, strict=True):
        try:
            pushing.send(own)
        except StopIteration as end:
            found.append(end.value)
    return found


def calls_together(
    model: Model,
    stages: Stages,
    part: Part,
    utterance: WorkloadUtterance,
    streams: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[StageCall]:
    """Time the calls of one part while that many streams speak an utterance; of like calls only a few."""
    if part == "llm":
        return list(language_calls(model, stages, utterance, clock, streams))
    timed = TimedStages(stages, part, model.device, clock)
    if part == "vocode":
        samples_together(model, timed.stages, [even_mel(model, utterance)] * streams)
    else:
        mels_together(model, timed.stages, [utterance] * streams, EULER_STEPS_TIMED)
    return timed.calls
