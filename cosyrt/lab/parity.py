"""Parity: how far a faster way to run a model is from the plain one, and how far it may be.

A candidate of `cosyrt tune` replaces one part, and a single call says little: errors add up over ten Euler
steps, and 1 % in one call has been heard. So each part is followed to where its error ends up: the language
model's to the probabilities that tokens are drawn from, the flow's to the whole solve, whole and streamed,
and all of it to the sound. An archive of `cosyrt export` is one network, and is held against the calls that
it must answer, in a fresh process as a user's would be.

Shapes: V speech vocabulary with stops · M mel frames · N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.contract import Part, Precision
from cosyrt.accel.distance import divergence, finite_distance, largest_difference, relative
from cosyrt.accel.torchscript.archive import TOLERANCE, Archive, Case, constants, methods, read
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import ArchiveError
from cosyrt.lab.child import call_in_child
from cosyrt.lab.workload import WorkloadUtterance, log_probabilities, mel_of, read_probabilities, samples_of
from cosyrt.mel import log_mel
from cosyrt.voice.reference import mel_spec

NEPERS_TO_DB = 20 / np.log(10)
SHORT_TOKENS = 2
ARCHIVE_TIMEOUT_S = 3_600.0  # a CPU may take minutes for half precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far some stages are from the plain ones; zero where nothing was compared."""

    call: float = 0.0  # one call: norm of the difference in units of the norm
    solve: float = 0.0  # the mel of the whole solve: mean difference, natural log units
    audio: float = 0.0  # the sound: mean difference of its log-mel spectra, dB
    expectation: float = 0.0  # next token: mean Kullback-Leibler divergence, nats

    def worst(self, other: Distances) -> Distances:
        """Take the larger of each distance."""
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
    """Result of comparing one part with the plain one."""

    precision: Precision
    distances: Distances
    why: str = ""  # why it is refused; empty when it is not

    @property
    def passed(self) -> bool:
        """Tell whether it may be used."""
        return not self.why

    def beside(self, other: Parity) -> Parity:
        """Join two results: the less exact class, the larger distances, the first objection."""
        return Parity(
            precision=max(self.precision, other.precision, key=ORDER.index),
            distances=self.distances.worst(other.distances),
            why=self.why or other.why,
        )


def verify(
    model: Model, part: Part, precision: Precision, other: Stages, utterances: list[WorkloadUtterance]
) -> Parity:
    """Compare one part of `other` with the plain stages on every utterance, both in whole float32."""
    distances = Distances()
    with whole_float32():
        for utterance in utterances:
            distances = distances.worst(DISTANCE[part](model, other, utterance))
    return Parity(precision=precision, distances=distances, why=why_not(precision, distances))


@contextmanager
def whole_float32() -> Iterator[None]:
    """Forbid TF32 meanwhile: its ten bits of mantissa, torch's default for convolutions, move a call by 5e-4.

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
    """Say which limit is exceeded first; empty if none is. A NaN exceeds every limit."""
    limits = LIMITS[precision]
    for field in fields(Distances):
        value, limit = getattr(distances, field.name), getattr(limits, field.name)
        if value == inf:
            return f"{field.name}: values that are not finite, or of another shape"
        if not value <= limit:
            return f"{field.name}: {value:.2g} apart, {limit:.2g} is the most for {precision}"
    return ""


def _llm(model: Model, other: Stages, utterance: WorkloadUtterance) -> Distances:
    steps = len(utterance.speech)
    plain, fast = (log_probabilities(model, each, utterance, steps) for each in (model.plain, other))
    spoken = Distances(expectation=finite_distance(plain, fast, divergence))
    plain, fast = (read_probabilities(model, each, utterance) for each in (model.plain, other))
    if not len(plain):
        return spoken
    return spoken.worst(Distances(expectation=finite_distance(plain, fast, divergence)))


def _flow(model: Model, other: Stages, utterance: WorkloadUtterance) -> Distances:
    both = [FirstCall(stages) for stages in (model.plain, other)]
    plain, fast = (mel_of(model, each.stages, utterance) for each in both)
    first_calls = zip(*(each.outputs for each in both), strict=True)
    return Distances(
        call=max(finite_distance(a, b, relative) for a, b in first_calls),
        solve=finite_distance(plain, fast, lambda a, b: float((a - b).abs().mean())),
        audio=_audio(model, samples_of(model, model.plain, plain), fast, other),
    )


def _vocode(model: Model, other: Stages, utterance: WorkloadUtterance) -> Distances:
    mel = mel_of(model, model.plain, utterance)
    return Distances(audio=_audio(model, samples_of(model, model.plain, mel), mel, other))


def _audio(
    model: Model,
    plain: Tensor,  # [N]
    mel: Tensor,  # [1, 80, M]
    other: Stages,
) -> float:
    """Distance of the sound that the other stages make of a mel from the plain one's, in dB."""
    if not mel.isfinite().all():
        return inf
    return sound_distance(model, plain, samples_of(model, other, mel))


def sound_distance(
    model: Model,
    plain: Tensor,  # [N]
    fast: Tensor,  # [N]
) -> float:
    """Mean distance of the log-mel spectra of two sounds, in dB."""
    spec = mel_spec(model.folder)

    def apart(a: Tensor, b: Tensor) -> float:
        one, two = (log_mel(x.float().cpu().numpy(), spec) for x in (a, b))
        return float(np.abs(one - two).mean() * NEPERS_TO_DB)

    return finite_distance(plain, fast, apart)


DISTANCE: dict[Part, Callable[[Model, Stages, WorkloadUtterance], Distances]] = {
    "llm": _llm,
    "encode": _flow,
    "velocity": _flow,
    "vocode": _vocode,
}


class FirstCall:
    """Stages that keep the first outputs of `encode` and `velocity`: until there all inputs are the same."""

    def __init__(self, stages: Stages) -> None:
        self.first: dict[str, Tensor] = {}
        self.stages = stages._replace(
            encode=self.kept("encode", stages.encode), velocity=self.kept("velocity", stages.velocity)
        )

    def kept(self, name: str, stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap a stage so that its first output is kept."""

        def call(*args: Any) -> Tensor:
            out = stage(*args)
            self.first.setdefault(name, out)
            return out

        return call

    @property
    def outputs(self) -> Iterator[Tensor]:
        """First outputs, in the order of the stages' names."""
        return (self.first[name] for name in sorted(self.first))


def check_archive(archive: Path, checkpoint: Path, cases: Path) -> float:
    """Largest error of an archive over all cases, measured in a process that knows nothing but the files.

    Raises:
        ArchiveError: it cannot be loaded there, or is further off than its precision explains.
    """
    outcome = call_in_child(archive_error, archive, checkpoint, cases, timeout_s=ARCHIVE_TIMEOUT_S)
    if outcome.failure is not None:
        raise ArchiveError(f"the archive failed in a fresh process and was not kept: {outcome.failure}")
    error, precision = float(outcome.value), archive.name.split(".")[-2]
    if not error <= TOLERANCE[precision]:
        raise ArchiveError(
            f"{archive.name} is {error:.2g} of the largest output away from the plain model, "
            f"{TOLERANCE[precision]:.2g} is the most; it was not kept; leave {precision} out or report it"
        )
    return error


def archive_error(archive: Path, checkpoint: Path, cases: Path) -> float:
    """Open an archive, and give its largest error over the cases in a file.

    A CPU computes in float16 a hundred times slower than in float32. So long calls of a float16 archive are
    computed in float32, with the weights as they were rounded; short calls are computed as they are.

    Raises:
        ArchiveError: it cannot be opened, or has lost a method.
    """
    written = [Case(*case) for case in torch.load(cases, weights_only=True)]
    opened = Archive.open(archive, checkpoint=checkpoint)
    lost = sorted({case.method for case in written if not opened.has(case.method)})
    if lost:
        raise ArchiveError(f"it lost the methods {', '.join(lost)}")
    if opened.dtype != torch.float16:
        return _largest_error(opened, written)
    short = [case for case in written if case.args[0].shape[:2].numel() <= SHORT_TOKENS]
    wide = replace(opened, precision="fp32", module=with_float32_constants(read(opened.path, None)))
    return max(_largest_error(opened, short), _largest_error(wide, written))


def _largest_error(archive: Archive, cases: Iterable[Case]) -> float:
    return max(largest_difference(_answer(archive, case), case.expected) for case in cases)


def _answer(archive: Archive, case: Case) -> list[Tensor]:
    with torch.inference_mode():
        return flattened(archive.call(case.method, *(as_dtype(arg, archive.dtype) for arg in case.args)))


def with_float32_constants(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Turn the float16 constants of a module to float32, before its first call."""
    for name in methods(module):
        for node in constants(getattr(module, name).graph):
            if node.t("value").dtype == torch.float16:
                node.t_("value", node.t("value").float())
                node.output().inferTypeFrom(node.t("value"))
    return module


def write_cases(path: Path, cases: Iterable[Case]) -> int:
    """Write the cases for another process, and give their number."""
    with torch.inference_mode():
        written = [tuple(case) for case in cases]
    torch.save(written, path)
    return len(written)


def as_dtype(value: Any, dtype: torch.dtype) -> Any:
    """Convert the floating-point tensors of an argument, in lists too; anything else stays what it is."""
    if isinstance(value, list):
        return [as_dtype(item, dtype) for item in value]
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def flattened(value: Any) -> list[Tensor]:
    """List the tensors of nested tuples and lists, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in flattened(item)]
