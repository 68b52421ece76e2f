"""S11: values that are no numbers never reach a listener, from whatever stage and at whatever moment.

From a backend that a plan put in place they are made again by the plain model: the listener hears what the
plain model says. So are those that are numbers, and wrong, where spot checks watch it (here each call). From
the plain model itself values that are no numbers end the request, and no other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import IncompleteRead
from itertools import product
from typing import Any

import av
import numpy as np

from benchmarks.scores.faults import Fault
from benchmarks.scores.lives import Life, Lives, Nature
from benchmarks.scores.neighbours import ALIKE, distance
from benchmarks.scores.score import Score, Tell

NAME, TITLE = "S11", "Only numbers"
TEXT = "One two three four five. Six seven eight nine ten."
SAID: dict[str, Any] = {"text": TEXT, "voice": "tom"}
STAGES = "step", "velocity", "vocode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Which stages, what they give, when, and what it is sent as."""

    stages: tuple[str, ...]
    kinds: tuple[Any, ...]
    calls: tuple[int, ...]  # that go well before
    formats: tuple[str, ...]


FAST = Amount(stages=("velocity",), kinds=("NaN",), calls=(1,), formats=("pcm",))
FULL = Amount(
    stages=STAGES, kinds=("NaN", "infinite"), calls=(0, 1, 3), formats=("pcm", "wav", "mp3", "opus", "flac")
)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Spoil stages of a backend, then of the model itself."""
    found = Score(NAME, TITLE)
    with lives.one() as life:
        plain = life.speak(**SAID).body
    backends = sum(1 for _ in _backends(lives, amount, plain, tell, found))
    models = sum(1 for _ in _models(lives, amount, plain, tell, found))
    found.figures.append(
        f"{backends} faults of backends, each said again by the plain model; {models} of the model itself, "
        f"in {len(amount.formats)} formats: each ended its own request, and was not heard"
    )
    return found


def _backends(lives: Lives, amount: Amount, plain: bytes, tell: Tell, found: Score) -> Iterator[None]:
    """A fault disables its part for the rest of a process, so each needs a process."""
    # Calls first, so that each stage has its turn where there is no time for all.
    wanted = list(product(amount.calls, (*amount.kinds, "wrong"), amount.stages))
    for number in found.rounds(len(wanted), 0.5):
        calls, kind, stage = wanted[number]
        nature = Nature(fault=Fault(stage=stage, kind=kind, guarded=True))
        where = f"{kind} of a backend's {stage} after {calls} calls"
        tell(where)
        with lives.one(nature) as life:
            assert life.trigger is not None
            life.trigger.arm(calls)
            try:
                body = life.speak(**SAID).body
            except IncompleteRead as cut:
                body = cut.partial
            found.expect(life.trigger.fired, f"{where} never came")
            far = distance(body, plain)
            found.expect(far <= ALIKE, f"{where}: {far:.3g} off")
            page = life.ask("GET", "/metrics").body.decode()
            counted = f'kind="{"wrong" if kind == "wrong" else "not finite"}"' in page
            found.expect(counted, f"{where} was not counted")
        yield


def _models(lives: Lives, amount: Amount, plain: bytes, tell: Tell, found: Score) -> Iterator[None]:
    wanted = [(stage, kind) for kind, stage in product(amount.kinds, amount.stages)]
    for number in found.rounds(len(wanted)):
        stage, kind = wanted[number]
        with lives.one(Nature(fault=Fault(stage=stage, kind=kind))) as life:
            for calls, format in product(amount.calls, amount.formats):
                where = f"{kind} of the model's {stage} after {calls} calls, {format}"
                tell(where)
                _one(life, calls, format, plain, where, found)
                yield
            far = distance(life.speak(**SAID).body, plain)
            found.expect(far <= ALIKE, f"after {kind} of {stage}: {far:.3g} off")


def _one(life: Life, calls: int, format: str, plain: bytes, where: str, found: Score) -> None:
    """Say a text during which the model fails once; what was heard is a beginning of it, or all of it."""
    assert life.trigger is not None
    life.trigger.arm(calls)
    try:
        answer = life.speak(**SAID, response_format=format)
        status, body, whole = answer.status, answer.body, True
    except IncompleteRead as cut:
        status, body, whole = 200, cut.partial, False
    found.expect(life.trigger.fired, f"{where} never came")
    life.trigger.disarm()
    if status != 200:
        found.expect(status in (500, 503), f"{where}: status {status}")
        return
    if format == "pcm":
        found.expect(not whole or len(body) == len(plain), f"{where}: it looks whole and is not")
        far = distance(body, plain[: len(body)])
        found.expect(far <= ALIKE or whole, f"{where}: what was heard is {far:.3g} off")
    loudest = np.abs(decoded(body, format)).max(initial=0.0)
    found.expect(np.isfinite(loudest) and loudest <= 1.0, f"{where}: {loudest} was heard")


def decoded(body: bytes, format: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The samples in a body, or as many as there are in one that was cut."""
    import io

    if format == "pcm":
        whole = body[: len(body) // 2 * 2]
        return np.frombuffer(whole, "<i2").astype(np.float32) / np.float32(32_768)
    parts = []
    try:
        with av.open(io.BytesIO(body), "r") as file:
            for frame in file.decode(audio=0):
                samples = frame.to_ndarray().astype(np.float32)
                parts.append(samples / 32_768 if frame.format.name.startswith("s16") else samples)
    except av.error.FFmpegError:
        pass  # the end of what was cut
    return np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0, np.float32)
