"""Who is served next, and who is let in: arithmetic on seconds, without tensors, threads or a clock.

A listener hears a gap when the next audio comes after the last was heard: that moment is the deadline of a
stream. *Guarded* earliest deadline: a new stream begins only if, after its first audio, all that have begun,
taken in the order of their deadlines, still come in time, and so does it with its own next ones, until they
grow no longer; else the earliest deadline is served. So a crowd makes the new wait, and nobody stutters.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import log2
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)  # a stage

WEIGHT = 0.1  # of a new value in a moving average
QUICK_WEIGHT = 0.3  # of one in an average that tells what is slow from what took long once
RELAXES = 0.003  # of the distance to the mean, that the slowest of lately comes nearer to it with each value
FORGETS = 0.01  # of all work so far, with each new audio
FIRST_AUDIO_S = 0.5  # that the first chunk of a stream gives its listener, at least
PATIENCE_S = 15.0  # that a request without a listener may be without new audio before it is urgent


@dataclass(slots=True)
class MovingAverage:
    """A mean that forgets: each new value counts for a fixed part of it."""

    value: float
    weight: float = WEIGHT

    def add(self, value: float) -> None:
        """Take a new value in."""
        self.value += self.weight * (value - self.value)


class Cost:
    """What a size costs: its mean, and how much it was when the machine was slowest lately."""

    __slots__ = ("mean", "now", "slowest")

    def __init__(self, seconds: float) -> None:
        self.mean, self.now = MovingAverage(seconds), MovingAverage(seconds, QUICK_WEIGHT)
        self.slowest = seconds

    def add(self, seconds: float) -> None:
        """Take a new value in; the slowest rises within a few, and falls over hundreds."""
        self.mean.add(seconds)
        self.now.add(seconds)
        falling = self.slowest + RELAXES * (self.mean.value - self.slowest)
        self.slowest = max(self.now.value, self.mean.value, falling)


class Costs(Generic[K]):
    """Seconds that a stage takes for work of a size: a moving average for each power of two.

    Sizes that were never seen cost as much for their size as the nearest that was; before any was, as `seeds`
    says for work of size 1.
    """

    def __init__(self, seeds: Mapping[K, float]) -> None:
        self._seeds = dict(seeds)
        self._known: dict[K, dict[int, Cost]] = {stage: {} for stage in seeds}
        self.error = {stage: MovingAverage(0.0) for stage in seeds}  # of what was predicted, as a share

    def predict(self, stage: K, size: float) -> float:
        """Seconds that the work should take."""
        cost = self._nearest(stage, size)
        return size * (self._seeds[stage] if cost is None else cost.mean.value)

    def slowest(self, stage: K, size: float) -> float:
        """Seconds that the work takes when the machine is as slow as it was lately."""
        cost = self._nearest(stage, size)
        return size * (self._seeds[stage] if cost is None else cost.slowest)

    def add(self, stage: K, size: float, seconds: float) -> None:
        """Learn how long the work took."""
        predicted_s = self.predict(stage, size)
        self.error[stage].add(abs(seconds - predicted_s) / max(seconds, predicted_s, 1e-9))
        known, each_s = self._known[stage], seconds / size
        if (cost := known.get(_bucket(size))) is None:
            known[_bucket(size)] = Cost(each_s)
        else:
            cost.add(each_s)

    def _nearest(self, stage: K, size: float) -> Cost | None:
        known, bucket = self._known[stage], _bucket(size)
        if bucket in known or not known:
            return known.get(bucket)
        return known[min(known, key=lambda other: abs(other - bucket))]


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


class Later(NamedTuple):
    """Audio of a stream behind its next, while its chunks still grow."""

    after_s: float  # of audio, that it goes on from: what the one before gives
    work_s: float
    shared_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one request wants of the device."""

    arrived_s: float
    work_s: float  # for it alone, until its next audio
    shared_s: float = 0.0  # before that, in calls that go on for all others at the same time
    deadline_s: float | None = None  # of its next audio; None: it has not begun
    later: tuple[Later, ...] = ()
    key: str = ""  # those with the same key share a turn
    ready: bool = True  # to be served now; False: a worker is at it


class Due(NamedTuple):
    """Audio that must be there at a moment, and the work for it."""

    deadline_s: float
    work_s: float
    shared_s: float  # since now


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


def _by_deadline(numbered: tuple[int, Claim]) -> float:
    deadline_s = numbered[1].deadline_s
    assert deadline_s is not None
    return deadline_s


def _may_begin(waiting: Claim, claims: Sequence[Claim], now_s: float, workers: int) -> bool:
    """Whether all that have begun come in time behind the first audio of one that waits.

    So do those whose first audio is being made, and the one that waits itself, with what follows their first
    audio. Where nobody else listens there is nothing to wait for.
    """
    others = [claim for claim in claims if claim.deadline_s is not None or not claim.ready]
    if not others:
        return True
    dues = [due for claim in (*others, waiting) for due in dues_of(claim, now_s)]
    return in_time(sorted(dues), now_s, waiting, workers)


def dues_of(claim: Claim, now_s: float) -> Iterator[Due]:
    """All audio of a claim that is due at a known moment; of a stream that begins now, from the second on."""
    shared_s, deadline_s = claim.shared_s, claim.deadline_s
    if deadline_s is None:
        deadline_s = now_s + claim.work_s + claim.shared_s
    else:
        yield Due(deadline_s, claim.work_s, shared_s)
    for later in claim.later:
        deadline_s += later.after_s
        shared_s += later.shared_s
        yield Due(deadline_s, later.work_s, shared_s)


def in_time(dues: Iterable[Due], now_s: float, before: Claim | None = None, workers: int = 1) -> bool:
    """Whether all of these, served in this order behind a claim, come before their deadlines.

    One is begun once the workers are done with those before it, and is one worker's to its end. Shared work
    is done once: what it takes for the longest of them, it takes for all.
    """
    before_s, shared_s = (0.0, 0.0) if before is None else (before.work_s, before.shared_s)
    for due in dues:
        shared_s = max(shared_s, due.shared_s)
        if now_s + before_s / workers + due.work_s + shared_s > due.deadline_s:
            return False
        before_s += due.work_s
    return True


def admitted(keys: Sequence[str], active: Sequence[str]) -> int:
    """The place in the queue of the request that is let in next: its key has the fewest that are active."""
    counts = Counter(active)
    return min(range(len(keys)), key=lambda place: (counts[keys[place]], place))


def audio_until(ends: int, served_s: Sequence[float], waiting_s: Sequence[float]) -> float:
    """Seconds of audio that are made until so many of those that are served have come to their end.

    What is left of each is given. All advance alike, and whoever ends is followed by the next that waits;
    where nobody is served yet, the first that waits is.
    """
    coming, each_s, made_s = deque(waiting_s), 0.0, 0.0
    left = list(served_s) or [coming.popleft() for _ in waiting_s[:1]]
    heapify(left)
    for _ in range(min(ends, len(served_s) + len(waiting_s))):
        end_s = heappop(left)
        made_s, each_s = made_s + (end_s - each_s) * (1 + len(left)), end_s
        if coming:
            heappush(left, end_s + coming.popleft())
    return made_s


@dataclass(slots=True)
class Rate:
    """How much audio a text becomes, and how much work a second of audio is; learnt from what was made."""

    syllable_s: MovingAverage = field(default_factory=lambda: MovingAverage(0.2))
    work_s: float = 0.2  # lately, older work counting for less
    made_s: float = 1.0  # audio that came of it

    def audio_s(self, syllables: float, speed: float) -> float:
        """Audio that so much text should become."""
        return syllables * self.syllable_s.value / speed

    @property
    def work(self) -> float:
        """Seconds of work for a second of audio."""
        return self.work_s / self.made_s

    def add(self, work_s: float, made_s: float) -> None:
        """Learn how long it took to make so much audio."""
        self.work_s += work_s - FORGETS * self.work_s
        self.made_s += made_s - FORGETS * self.made_s
