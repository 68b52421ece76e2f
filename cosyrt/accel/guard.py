"""Watches the stages of a plan while they speak: a part that fails, or becomes slow, becomes plain again.

A stage that raises, or gives values that are not finite, or that a spot check finds wrong, is called once
more in its plain form, from the state that it found: the utterance goes on as if nothing had been. Values
that are not finite in the plain form either are no fault of the part: an utterance that gives them ends by
itself, and its neighbours in a batch keep their plan. A stage that does not come back ends its utterance with
an error, for its thread may still write. One that is many times slower than its plan says is right, but
replaced. In every other case the part stays plain for the rest of the process, and the event is logged and
counted.

A stream cache is put back to what it was. A key/value cache needs no copy: a stage writes at the positions of
its call alone, and the plain call writes them again.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Part, first_tensor, size_of
from cosyrt.accel.plan import Planned
from cosyrt.accel.spot_check import Slots, SpotCheck, precision_of
from cosyrt.engine.language_stages import NewCache
from cosyrt.engine.stages import Stages
from cosyrt.engine.token_engine import TokenEngine
from cosyrt.errors import SpeechError, kind_and_reason, one_line
from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.stream_cache import StreamCache

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """When a stage is disabled."""

    slower: float = 4.0  # times what its plan says, in the median of a window of calls
    window: int = 8
    hangs_s: float = 60.0  # a call that takes longer, and longer than `hangs` times its plan, does not return
    hangs: float = 50.0
    checked: float = 0.0  # share of its time for comparing calls with the plain ones; 0: none is


class Event(NamedTuple):
    """One part that was disabled."""

    model: str
    part: Part
    backend: str
    kind: str  # raised, not finite, wrong, hung, slow, rolled back


events: Counter[Event] = Counter()  # of this process
_disabled: set[tuple[str, Part]] = set()


def disabled(model: str, part: Part) -> bool:
    """Whether a part of a model is disabled for the rest of this process."""
    return (model, part) in _disabled


def roll_back(model: str, parts: Mapping[Part, Planned]) -> list[Part]:
    """Make parts of a model plain for the rest of this process, because somebody wants it so.

    Returned are those that were not plain already.
    """
    changed = [part for part in parts if not disabled(model, part)]
    for part in changed:
        _disable(Event(model, part, parts[part].backend, "rolled back"), "by request")
    return changed


def _disable(event: Event, why: str) -> None:
    """Use the plain stages of a part from now on."""
    _disabled.add((event.model, event.part))
    events[event] += 1
    log.error("plain way from now on part=%s backend=%s kind=%s: %s", *event[1:], one_line(why, 200))


def guarded(
    model: str,
    plain: Stages,
    fast: Stages,
    parts: dict[Part, Planned],
    config: GuardConfig = GuardConfig(),
    clock: Callable[[], float] = time.perf_counter,
) -> Stages:
    """Watch the fast stages of these parts; `model` is the fingerprint of the model they belong to."""
    workers = Workers()
    replaced: dict[str, Any] = {}
    for part, planned in parts.items():
        watch = Watch(Event(model, part, planned.backend, ""), planned, config, workers, clock)
        for name in PARTS[part]:
            replaced[name] = watch.over(name, plain, getattr(fast, name))
    if fast.engine is not None:
        replaced["engine"] = GuardedEngine(fast.engine, lambda: disabled(model, "llm"))
    return plain.replacing(**replaced)


class GuardedEngine:
    """An engine that takes no text once its part was made plain; it watches its process by itself."""

    def __init__(self, engine: TokenEngine, is_disabled: Callable[[], bool]) -> None:
        self.engine, self.is_disabled = engine, is_disabled
        self.submit, self.wait = engine.submit, engine.wait

    def takes(self, positions: int) -> bool:
        """Whether it is running and wanted, and an utterance may be so long."""
        return not self.is_disabled() and self.engine.takes(positions)


class Watch:
    """Watches the calls of one part, and disables it when they fail."""

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
        self.took_s = 0.0  # the last call
        self.spot_check: SpotCheck | None = None
        if config.checked:
            precision = precision_of(planned.backend)
            self.spot_check = SpotCheck(precision=precision, share=config.checked, clock=clock)

    @property
    def disabled(self) -> bool:
        """Whether this part has been disabled."""
        return disabled(self.event.model, self.event.part)

    def over(self, name: str, plain: Stages, fast: Callable[..., Any]) -> Callable[..., Any]:
        """A stage that is the fast one until the part is disabled, then the plain one."""
        if name == "new_cache":
            return self.new_cache(plain.new_cache, fast)

        def call(*args: Any) -> Tensor:
            if self.disabled:
                return plainly(plain, name, args)
            caches = [cache for cache in args if isinstance(cache, StreamCache)]
            kept = [(stream, stream.slots()) for cache in caches for stream in cache.streams]
            out, why = self.tried(name, fast, args), ""
            if out is not None and bool(torch.isfinite(out).all()):
                why = self.objection(name, plain, args, kept, out)
                if not why:
                    return out
                self.disable("wrong", why)
            for stream, slots in kept:
                stream.restore(slots)
                stream.begin()
            again = plainly(plain, name, args)
            if out is None or why:
                return again
            if bool((torch.isfinite(again) & ~torch.isfinite(out)).any()):
                self.disable("not finite", f"values of {name} are not finite")
            return again

        return call

    def new_cache(self, plain: NewCache, fast: NewCache) -> NewCache:
        """Make caches for the fast stages until the part is disabled, then for the plain ones."""

        def call(rows: int, positions: int) -> KeyValueCache:
            if not self.disabled:
                try:
                    return fast(rows, positions)
                except Exception as error:  # as in a call of the other stages
                    self.disable("raised", kind_and_reason(error))
            return plain(rows, positions)

        return call

    def tried(self, name: str, fast: Callable[..., Any], args: tuple[Any, ...]) -> Tensor | None:
        """Call the fast stage; None if it raised.

        Raises:
            SpeechError: it does not come back.
        """
        expected = expected_s(self.planned.calls.get(name, []), size_of(name, args))
        if expected is not None:
            expected *= rows_beyond(name, args, self.planned.streams)
        limit = max(self.config.hangs_s, self.config.hangs * (expected or 0.0))
        begin = self.clock()
        try:
            out: Tensor = self.workers.run(as_here(lambda: fast(*args), first_tensor(args).device), limit)
        except Hung:
            self.disable("hung", f"no answer in {limit:.0f} s")
            raise SpeechError(
                f"{self.event.part} by {self.event.backend} did not answer in {limit:.0f} s and is switched "
                "off; say it again, it will be said the plain way"
            ) from None
        except Exception as error:  # a backend may raise anything: whatever it is, the plain way goes on
            self.disable("raised", kind_and_reason(error))
            return None
        self.timed(name, self.clock() - begin, expected)
        return out

    def objection(self, name: str, plain: Stages, args: tuple[Any, ...], before: Slots, out: Tensor) -> str:
        """Why a call is wrong, if it is one of those that are looked at; else nothing."""
        check = self.spot_check
        if check is None or not check.is_due(name, self.took_s):
            return ""
        return check.objection(name, plain, args, before, out)

    def timed(self, name: str, seconds: float, expected: float | None) -> None:
        """Note how long a call took; disable the part when most of the last ones took much too long."""
        self.took_s = seconds
        if expected is None:
            return
        self.slowness.append(seconds / expected)
        full = len(self.slowness) == self.config.window
        if full and median(self.slowness) > self.config.slower:
            self.disable("slow", f"{name} takes {median(self.slowness):.1f} times as long as planned")

    def disable(self, kind: str, why: str) -> None:
        """Use the plain stages from now on."""
        _disable(self.event._replace(kind=kind), why)


def rows_beyond(name: str, args: tuple[Any, ...], streams: int) -> float:
    """How many times as many rows a call of the language model has as were measured, at least one.

    Its size counts positions only, and a batch takes at most as long as one call after another.
    """
    return max(1.0, len(args[0]) / streams) if name in PARTS["llm"] else 1.0


def as_here(call: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """The call, on the card and the stream that are current here: a new thread begins with the first ones."""
    if device.type != "cuda":
        return call
    stream = torch.cuda.current_stream(device)

    def there() -> Tensor:
        with torch.cuda.stream(stream):
            return call()

    return there


def plainly(plain: Stages, name: str, args: tuple[Any, ...]) -> Tensor:
    """Call the plain stage on a state that another one may have left in 16 bits."""
    stage: Callable[..., Tensor] = getattr(plain, name)
    for stream in (one for cache in args if isinstance(cache, StreamCache) for one in cache.streams):
        if any(slot.element_size() < 4 for slot in stream.slots()):
            stream.restore([slot.float() for slot in stream.slots()])
    for cache in args:
        if isinstance(cache, KeyValueCache) and cache.dtype != torch.float32:
            wide = plain.new_cache(cache.rows, cache.positions)
            wide.copy_from(cache, cache.positions)
            out = stage(*(wide if value is cache else value for value in args))
            cache.copy_from(wide, cache.positions)
            return out
    return stage(*args)


def expected_s(calls: list[tuple[int, float]], size: int) -> float | None:
    """Seconds a call of that size took when it was measured: between sizes a line, beyond them a square."""
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
        """Make the call in a thread; return or raise what it does.

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
        """Start a thread, and return the queue that it takes its calls from."""
        jobs: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_work, args=(jobs,), name="cosyrt stage", daemon=True).start()
        return jobs


def _dismiss(idle: deque[SimpleQueue[Any]]) -> None:
    """End the threads that nobody can call any more."""
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
