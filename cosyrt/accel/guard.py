"""Watches the stages of a plan while they speak: what goes wrong, or becomes slow, runs the plain way again.

A stage that raises, or gives values that are not finite, is called once more the plain way, from the state
that it found: the utterance goes on as if nothing had been. One that does not come back ends its utterance
with an error, for its thread may still write. One that is many times slower than its plan says is right, but
replaced. In every case the part stays with the plain way for the rest of the process, and the event is logged
and counted.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part, first_tensor, size_of
from cosyrt.accel.plan import Planned
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError, kind_and_reason, one_line
from cosyrt.models.layers import StreamCache
from cosyrt.models.llm import Cache

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """When a stage is given up."""

    slower: float = 4.0  # times what its plan says, in the median of a window of calls
    window: int = 8
    hangs_s: float = 60.0  # a call that takes longer, and longer than `hangs` times its plan, does not return
    hangs: float = 50.0


class Event(NamedTuple):
    """One part given up."""

    model: str
    part: Part
    backend: str
    kind: str  # raised, not finite, hung, slow


events: Counter[Event] = Counter()  # of this process
_given_up: set[tuple[str, Part]] = set()


def given_up(model: str, part: Part) -> bool:
    """Whether a part of a model runs the plain way for the rest of this process."""
    return (model, part) in _given_up


def guarded(
    model: str,
    plain: Stages,
    fast: Stages,
    parts: dict[Part, Planned],
    config: GuardConfig = GuardConfig(),
    clock: Callable[[], float] = time.perf_counter,
) -> Stages:
    """The fast stages of these parts, watched; `model` is the fingerprint of whose they are."""
    workers = Workers()
    replaced: dict[str, Callable[..., Any]] = {}
    for part, planned in parts.items():
        watch = Watch(Event(model, part, planned.backend, ""), planned, config, workers, clock)
        for name in PARTS[part]:
            replaced[name] = watch.over(name, getattr(plain, name), getattr(fast, name))
    return plain.wrapped(**replaced)


class Watch:
    """One part: its calls, and whether it is still trusted."""

    def __init__(
        self,
        event: Event,
        planned: Planned,
        config: GuardConfig,
        workers: Workers,
        clock: Callable[[], float],
    ) -> None:
        self.event, self.planned, self.config, self.workers = event, planned, config, workers
        self.clock = clock
        self.slowness: deque[float] = deque(maxlen=config.window)

    @property
    def over_with(self) -> bool:
        """Whether it is not."""
        return given_up(self.event.model, self.event.part)

    def over(self, name: str, plain: Callable[..., Any], fast: Callable[..., Any]) -> Callable[..., Any]:
        """The fast stage as long as it is trusted, then the plain one."""
        if name == "new_cache":
            return lambda *sizes: (plain if self.over_with else fast)(*sizes)

        def call(*args: Any) -> Tensor:
            if self.over_with:
                return plainly(plain, args)
            kept = [(stream, stream.slots()) for stream in args if isinstance(stream, StreamCache)]
            out = self.tried(name, fast, args)
            if out is not None:
                return out
            for stream, slots in kept:
                stream.restore(slots)
                stream.begin()
            return plainly(plain, args)

        return call

    def tried(self, name: str, fast: Callable[..., Any], args: tuple[Any, ...]) -> Tensor | None:
        """What the fast stage gives; None if that cannot be used.

        Raises:
            SpeechError: it does not come back.
        """
        expected = expected_s(self.planned.calls.get(name, []), size_of(name, args))
        limit = max(self.config.hangs_s, self.config.hangs * (expected or 0.0))
        begin = self.clock()
        try:
            out: Tensor = self.workers.run(as_here(lambda: fast(*args), first_tensor(args).device), limit)
        except Hung:
            self.give_up("hung", f"no answer in {limit:.0f} s")
            raise SpeechError(
                f"{self.event.part} by {self.event.backend} did not answer in {limit:.0f} s and is switched "
                "off; say it again, it will be said the plain way"
            ) from None
        except Exception as error:  # a backend may raise anything: whatever it is, the plain way goes on
            self.give_up("raised", kind_and_reason(error))
            return None
        if not bool(torch.isfinite(out).all()):
            self.give_up("not finite", f"values of {name} are not finite")
            return None
        self.timed(name, self.clock() - begin, expected)
        return out

    def timed(self, name: str, seconds: float, expected: float | None) -> None:
        """Write down how long a call took, and give up when most of the last ones took much too long."""
        if expected is None:
            return
        self.slowness.append(seconds / expected)
        full = len(self.slowness) == self.config.window
        if full and median(self.slowness) > self.config.slower:
            self.give_up("slow", f"{name} takes {median(self.slowness):.1f} times as long as planned")

    def give_up(self, kind: str, why: str) -> None:
        """The plain way from now on."""
        _given_up.add((self.event.model, self.event.part))
        event = self.event._replace(kind=kind)
        events[event] += 1
        reason = one_line(why, 200)
        log.error("plain way from now on part=%s backend=%s kind=%s: %s", *event[1:], reason)


def as_here(call: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """The call, made on the card and the stream that are current here: a new thread's are the first ones."""
    if device.type != "cuda":
        return call
    stream = torch.cuda.current_stream(device)

    def there() -> Tensor:
        with torch.cuda.stream(stream):
            return call()

    return there


def plainly(plain: Callable[..., Any], args: tuple[Any, ...]) -> Tensor:
    """The plain stage on a state that another one may have left in 16 bits."""
    narrow = [cache for cache in args if isinstance(cache, Cache) and cache.keys.dtype != torch.float32]
    for stream in args:
        if isinstance(stream, StreamCache) and any(slot.element_size() < 4 for slot in stream.slots()):
            stream.restore([slot.float() for slot in stream.slots()])
    if not narrow:
        out: Tensor = plain(*args)
        return out
    (cache,) = narrow
    wide = Cache(cache.keys.float(), cache.values.float())
    out = plain(*(wide if value is cache else value for value in args))
    with torch.inference_mode():  # as the stages made it
        cache.keys.copy_(wide.keys)
        cache.values.copy_(wide.values)
    return out


def expected_s(calls: list[tuple[int, float]], size: int) -> float | None:
    """What a call of that size took when it was measured: between sizes a line, beyond them a square."""
    if not calls:
        return None
    before = [call for call in calls if call[0] <= size]
    after = [call for call in calls if call[0] > size]
    if not before:
        return after[0][1]
    (low, low_s), high = before[-1], after[0] if after else None
    if high is None:
        return low_s * (size / low) ** 2
    return low_s + (high[1] - low_s) * (size - low) / (high[0] - low)


class Hung(Exception):
    """A call did not come back."""


class Workers:
    """Threads that can be left behind: nobody waits for one that does not come back, not even at exit."""

    def __init__(self) -> None:
        self.idle: deque[SimpleQueue[Any]] = deque()
        weakref.finalize(self, _dismiss, self.idle)

    def run(self, call: Callable[[], Tensor], timeout_s: float) -> Tensor:
        """What the call gives, or what it raises.

        Raises:
            Hung: it takes longer.
        """
        jobs = self.idle.pop() if self.idle else self.started()
        answer: SimpleQueue[tuple[Tensor | None, Exception | None]] = SimpleQueue()
        jobs.put((call, answer))
        try:
            out, error = answer.get(timeout=timeout_s)
        except Empty:
            raise Hung from None
        self.idle.append(jobs)
        if error is not None:
            raise error
        assert out is not None
        return out

    def started(self) -> SimpleQueue[Any]:
        """The way to give calls to a new thread."""
        jobs: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_work, args=(jobs,), name="cosyrt stage", daemon=True).start()
        return jobs


def _dismiss(idle: deque[SimpleQueue[Any]]) -> None:
    """Threads that nobody can call any more end."""
    for jobs in idle:
        jobs.put(None)


def _work(jobs: SimpleQueue[Any]) -> None:
    while (job := jobs.get()) is not None:
        call, answer = job
        try:
            answer.put((call(), None))
        except Exception as error:  # handed to the thread that waits
            answer.put((None, error))
        del call, answer, job
