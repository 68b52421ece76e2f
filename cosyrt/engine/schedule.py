"""Who is served next, and who is let in: arithmetic on seconds, without tensors, threads or a clock.

A listener hears a gap when the next audio comes after the last was heard: that moment is the deadline of a
stream. *Guarded* earliest deadline: a new stream begins only if, after its first audio, all that have begun,
taken in the order of their deadlines, still come in time, and with its second audio so does it; else the
earliest deadline is served. So a crowd makes the new wait, and nobody stutters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)  # a stage

WEIGHT = 0.1  # of a new value in a moving average
FIRST_AUDIO_S = 0.5  # that the first chunk of a stream gives its listener, at least
PATIENCE_S = 15.0  # that a request without a listener may be without new audio before it is urgent


@dataclass(slots=True)
class MovingAverage:
    """A mean that forgets: each new value counts for a fixed part of it."""

    value: float

    def add(self, value: float) -> None:
        """Take a new value in."""
        self.value += WEIGHT * (value - self.value)


class Costs(Generic[K]):
    """Seconds that a stage takes for work of a size: a moving average for each power of two.

    Sizes that were never seen cost as much for their size as the nearest that was; before any was, as `seeds`
    says for work of size 1.
    """

    def __init__(self, seeds: Mapping[K, float]) -> None:
        self._seeds = dict(seeds)
        self._known: dict[K, dict[int, MovingAverage]] = {stage: {} for stage in seeds}
        self.error = {stage: MovingAverage(0.0) for stage in seeds}  # of what was predicted, as a share

    def predict(self, stage: K, size: float) -> float:
        """Seconds that the work should take."""
        known, bucket = self._known[stage], _bucket(size)
        if not known:
            return self._seeds[stage] * size
        return known[min(known, key=lambda other: abs(other - bucket))].value * size

    def add(self, stage: K, size: float, seconds: float) -> None:
        """Learn how long the work took."""
        predicted_s = self.predict(stage, size)
        self.error[stage].add(abs(seconds - predicted_s) / max(seconds, predicted_s, 1e-9))
        known, each_s = self._known[stage], seconds / size
        if (average := known.get(_bucket(size))) is None:
            known[_bucket(size)] = MovingAverage(each_s)
        else:
            average.add(each_s)


def _bucket(size: float) -> int:
    return round(log2(max(size, 1.0)))


@dataclass(slots=True)
class Playback:
    """What a listener hears who begins with the first audio and goes on as long as there is any."""

    began_s: float | None = None  # put off by each gap
    given_s: float = 0.0  # audio so far
    gap_s: float = 0.0  # the longest

    def give(self, seconds: float, now_s: float) -> None:
        """Take in audio that is there now."""
        if self.began_s is None:
            self.began_s = now_s
        elif (late_s := now_s - self.began_s - self.given_s) > 0:
            self.gap_s = max(self.gap_s, late_s)
            self.began_s += late_s
        self.given_s += seconds

    @property
    def ends_s(self) -> float | None:
        """When the last of what is there will have been heard; None before there was any."""
        return None if self.began_s is None else self.began_s + self.given_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one request wants of the device."""

    arrived_s: float
    work_s: float  # for it alone, until its next audio
    shared_s: float = 0.0  # before that, in calls that go on for all others at the same time
    deadline_s: float | None = None  # of its next audio; None: it has not begun
    next_work_s: float = 0.0  # of one that has not begun: for its second audio
    next_shared_s: float = 0.0
    key: str = ""  # those with the same key share a turn
    ready: bool = True  # to be served now; False: a worker is at it


def urgent(claims: Sequence[Claim], now_s: float, workers: int = 1) -> int | None:
    """The place of the claim that a worker serves next; None where none is ready."""
    numbered = list(enumerate(claims))
    begun = sorted((each for each in numbered if each[1].deadline_s is not None), key=_by_deadline)
    keys = Counter(claim.key for _, claim in begun)
    waiting = min(
        (each for each in numbered if each[1].deadline_s is None and each[1].ready),
        key=lambda each: (keys[each[1].key], each[1].arrived_s),
        default=None,
    )
    if waiting is not None and _may_begin(waiting[1], claims, now_s, workers):
        return waiting[0]
    return next((place for place, claim in begun if claim.ready), None)


def _may_begin(waiting: Claim, claims: Sequence[Claim], now_s: float, workers: int) -> bool:
    """Whether all that have begun come in time behind the first audio of one that waits.

    So do those whose first audio is being made, and the one that waits itself, with their second audio. Where
    nobody else listens there is nothing to wait for.
    """
    begun = [claim for claim in claims if claim.deadline_s is not None]
    beginning = [claim for claim in claims if claim.deadline_s is None and not claim.ready]
    if not (begun or beginning):
        return True
    begun += [_second(claim, now_s) for claim in (*beginning, waiting) if claim.next_work_s]
    return in_time(sorted(begun, key=lambda claim: claim.deadline_s or 0.0), now_s, waiting, workers)


def _second(claim: Claim, now_s: float) -> Claim:
    """The claim on its second audio of a stream that begins now."""
    return replace(
        claim,
        work_s=claim.next_work_s,
        shared_s=claim.shared_s + claim.next_shared_s,
        deadline_s=now_s + claim.work_s + claim.shared_s + FIRST_AUDIO_S,
    )


def _by_deadline(numbered: tuple[int, Claim]) -> float:
    deadline_s = numbered[1].deadline_s
    assert deadline_s is not None
    return deadline_s


def in_time(begun: Sequence[Claim], now_s: float, before: Claim | None = None, workers: int = 1) -> bool:
    """Whether all of these, served in this order behind another claim, come before their deadlines.

    A claim is begun once the workers are done with those before it, and is one worker's to its end. Shared
    work is done once: what it takes for the longest of them, it takes for all.
    """
    before_s, shared_s = (0.0, 0.0) if before is None else (before.work_s, before.shared_s)
    for claim in begun:
        shared_s = max(shared_s, claim.shared_s)
        ends_s = now_s + before_s / workers + claim.work_s + shared_s
        if claim.deadline_s is not None and ends_s > claim.deadline_s:
            return False
        before_s += claim.work_s
    return True


def admitted(keys: Sequence[str], active: Sequence[str]) -> int:
    """The place in the queue of the request that is let in next: its key has the fewest that are active."""
    counts = Counter(active)
    return min(range(len(keys)), key=lambda place: (counts[keys[place]], place))


@dataclass(slots=True)
class Rate:
    """How much audio a text becomes, and how much work a second of audio is; learnt from what was made."""

    character_s: MovingAverage = field(default_factory=lambda: MovingAverage(0.07))
    work: MovingAverage = field(default_factory=lambda: MovingAverage(0.2))  # seconds a second of audio

    def audio_s(self, characters: int, speed: float) -> float:
        """Audio that so much text should become."""
        return characters * self.character_s.value / speed
