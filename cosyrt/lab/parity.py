"""Is a faster way still right? One part of the work is run both ways on the same inputs.

A single call says little: errors add up over ten Euler steps, and 1 % in one call has been heard. So each
part is followed to where its error ends up: the language model's to the probabilities that tokens are drawn
from, the flow's to the whole solve, whole and streamed, and all of it to the sound.

Shapes: V speech vocabulary with stops · M mel frames · N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.contract import Part, Precision
from cosyrt.engine.stages import Stages
from cosyrt.lab.workload import (
    Subject,
    Utterance,
    log_probabilities,
    mel_of,
    read_probabilities,
    samples_of,
)
from cosyrt.mel import log_mel
from cosyrt.voice.reference import mel_spec

NEPERS_TO_DB = 20 / np.log(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far a way to run a model is from the plain one; zero where it was not asked."""

    call: float = 0.0  # one call: norm of the difference in units of the norm
    solve: float = 0.0  # the mel of the whole solve: mean difference, natural log units
    audio: float = 0.0  # the sound: mean difference of its log-mel spectra, dB
    expectation: float = 0.0  # next token: mean Kullback-Leibler divergence, nats

    def worst(self, other: Distances) -> Distances:
        """The larger of each."""
        return Distances(
            **{
                field.name: max(getattr(self, field.name), getattr(other, field.name))
                for field in fields(self)
            }
        )


# What each class of precision may do, set by the trained voice that comes with the package. There bf16 moves
# one call by 0.2 %, the mel by 0.004 to 0.009, the expectation by up to 4e-4, and fp16 a tenth of that; int8
# moves the expectation by 1e-3, and by 8e-3 on speech tokens that mean nothing, 4 bits by 5e-2. A lost
# chunk mask moves the mel of a stream by 0.033, another noise by 0.42 and the sound by 2.5 dB. The sound is a
# coarse measure: the smallest change of pitch turns its phases, so that even fp16 is 0.5 to 0.8 dB away,
# bf16 1.3.
ORDER: tuple[Precision, ...] = ("exact", "half", "quantised")  # from the most exact
LIMITS: dict[Precision, Distances] = {
    "exact": Distances(call=1e-4, solve=2e-3, audio=0.1, expectation=1e-6),
    "half": Distances(call=4e-2, solve=2e-2, audio=2.0, expectation=5e-3),
    "quantised": Distances(call=8e-2, solve=2e-2, audio=2.0, expectation=2e-2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The verdict on one part run another way."""

    precision: Precision
    distances: Distances
    why: str = ""  # why it is refused; empty when it is not

    @property
    def passed(self) -> bool:
        """Whether it may be used."""
        return not self.why

    def beside(self, other: Parity) -> Parity:
        """The verdict on both: the less exact class, the larger distances, the first objection."""
        return Parity(
            precision=max(self.precision, other.precision, key=ORDER.index),
            distances=self.distances.worst(other.distances),
            why=self.why or other.why,
        )


def verify(
    subject: Subject, part: Part, precision: Precision, other: Stages, said: list[Utterance]
) -> Parity:
    """Hold one part of `other` against the plain stages, on every utterance, both in whole float32."""
    distances = Distances()
    with whole_float32():
        for one in said:
            distances = distances.worst(DISTANCE[part](subject, other, one))
    return Parity(precision=precision, distances=distances, why=why_not(precision, distances))


@contextmanager
def whole_float32() -> Iterator[None]:
    """No TF32 meanwhile: its ten bits of mantissa, torch's default for convolutions, move a call by 5e-4.

    That is more than the exact class may be off: a backend that does without would be refused for its
    exactness. What a graph was recorded with stays in it.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def why_not(precision: Precision, distances: Distances) -> str:
    """The first limit that is not kept, in words; empty if all are. A NaN keeps no limit."""
    limits = LIMITS[precision]
    for field in fields(Distances):
        value, limit = getattr(distances, field.name), getattr(limits, field.name)
        if value == inf:
            return f"{field.name}: values that are not finite, or of another shape"
        if not value <= limit:
            return f"{field.name}: {value:.2g} apart, {limit:.2g} is the most for {precision}"
    return ""


def _llm(subject: Subject, other: Stages, said: Utterance) -> Distances:
    plain, fast = (log_probabilities(subject, way, said, len(said.speech)) for way in (subject.plain, other))
    given = Distances(expectation=_finite(plain, fast, divergence))
    plain, fast = (read_probabilities(subject, way, said) for way in (subject.plain, other))
    return given.worst(Distances(expectation=_finite(plain, fast, divergence))) if len(plain) else given


def _flow(subject: Subject, other: Stages, said: Utterance) -> Distances:
    ways = [FirstCall(stages) for stages in (subject.plain, other)]
    plain, fast = (mel_of(subject, way.stages, said) for way in ways)
    return Distances(
        call=max(_finite(a, b, relative) for a, b in zip(*(way.outputs for way in ways), strict=True)),
        solve=_finite(plain, fast, lambda a, b: float((a - b).abs().mean())),
        audio=_audio(subject, samples_of(subject, subject.plain, plain), fast, other),
    )


def _vocode(subject: Subject, other: Stages, said: Utterance) -> Distances:
    mel = mel_of(subject, subject.plain, said)
    return Distances(audio=_audio(subject, samples_of(subject, subject.plain, mel), mel, other))


def _audio(subject: Subject, plain: Tensor, mel: Tensor, way: Stages) -> float:
    if not mel.isfinite().all():
        return inf
    spec = mel_spec(subject.model.folder)

    def apart(a: Tensor, b: Tensor) -> float:
        one, two = (log_mel(x.float().cpu().numpy(), spec) for x in (a, b))
        return float(np.abs(one - two).mean() * NEPERS_TO_DB)

    return _finite(plain, samples_of(subject, way, mel), apart)


DISTANCE: dict[Part, Callable[[Subject, Stages, Utterance], Distances]] = {
    "llm": _llm,
    "encode": _flow,
    "velocity": _flow,
    "vocode": _vocode,
}


class FirstCall:
    """Stages that keep what `encode` and `velocity` gave first: there both ways have the same inputs."""

    def __init__(self, stages: Stages) -> None:
        self.first: dict[str, Tensor] = {}
        self.stages = stages._replace(
            encode=self.kept("encode", stages.encode), velocity=self.kept("velocity", stages.velocity)
        )

    def kept(self, name: str, stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The stage, its first result written down."""

        def call(*args: Any) -> Tensor:
            out = stage(*args)
            self.first.setdefault(name, out)
            return out

        return call

    @property
    def outputs(self) -> Iterator[Tensor]:
        """What was kept, in the order of the names."""
        return (self.first[name] for name in sorted(self.first))


def _finite(plain: Tensor, fast: Tensor, distance: Callable[[Tensor, Tensor], float]) -> float:
    """The distance; infinite where shapes differ or something is not finite."""
    if plain.shape != fast.shape or not fast.isfinite().all():
        return inf
    return distance(plain, fast)


def relative(plain: Tensor, fast: Tensor) -> float:
    """Norm of the difference in units of the norm."""
    return float((fast - plain).norm() / plain.norm().clamp_min(1e-9))


def divergence(
    plain: Tensor,  # [S, V] log-probabilities
    fast: Tensor,  # [S, V]
) -> float:
    """How much is lost by drawing from the one instead of the other, mean over the tokens, in nats."""
    return max(0.0, float((plain.double().exp() * (plain.double() - fast.double())).sum(-1).mean()))
