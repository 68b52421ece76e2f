"""A list of texts → a folder of recordings, for throughput: many rows at once, long texts first.

    items → requests → [scheduler, many at once] → encoded → ledger → results as they are finished

What was finished by an earlier run is left as it is, as long as text, voice, style, numbers, format and model
are the same.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Literal, Protocol

from cosyrt.accel.fingerprint import fingerprint
from cosyrt.audio import Audio
from cosyrt.batch.address import AddressLedger
from cosyrt.batch.address import opened as opened_address
from cosyrt.batch.ledger import Ledger
from cosyrt.batch.ledger import opened as opened_folder
from cosyrt.batch.manifest import Item
from cosyrt.engine.collected import is_collecting, watch_collections
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request, SpeakingStyle
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.errors import AudioError, Busy, Cancelled, CosyrtError, ReplicaLost, reason_of
from cosyrt.formats import format_named
from cosyrt.labels import Label
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.pauses import NO_PAUSES, Pauses
from cosyrt.voice.voice import Voice

SORTED_TOGETHER = 1_000  # items that are brought in order of length, where the list has no known end
STREAMS = 8
ATTEMPTS = 3  # of a text whose replicas are lost

Status = Literal["made", "kept", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """How a list is spoken where its lines say nothing of it, and how recordings are written."""

    voice: str | Voice | None = None  # None: the model's voice for the language of each text
    style: SpeakingStyle = SpeakingStyle()
    speed: float = 1.0
    seed: int = 0
    as_written: bool = False
    lexicon: Lexicon = NO_LEXICON
    pauses: Pauses = NO_PAUSES
    format: str = "wav"
    sample_rate: int | None = None  # None: the model's
    label: Label | None = None
    streams: int = STREAMS  # texts that are spoken at once


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of one item."""

    item: Item
    status: Status
    seconds: float = 0.0  # of audio
    reason: str = ""  # why it failed

    @property
    def as_failure(self) -> dict[str, Any]:
        """The line about a text that could not be spoken."""
        return {"id": self.item.id, "where": self.item.where, "reason": self.reason, "text": self.item.text}


class Submits(Protocol):
    """Speaks a request among others, as the scheduler does."""

    def submit(self, request: Request) -> Iterable[Audio]:
        """Begin a request; iterating gives its audio, or raises its error."""

    def close(self) -> None:
        """Stop all that was begun."""


def batch(
    pipeline: Pipeline, items: Iterable[Item], folder: str | Path, config: BatchConfig = BatchConfig()
) -> Generator[BatchResult, None, None]:
    """Speak a list of texts into a folder; each result comes when it is finished, in any order.

    Closing the generator, or an error, stops the work and keeps what was finished. A text that cannot be
    spoken is a result, and stops nothing.

    Raises:
        UsageError: the folder cannot be written, or another program is at work on it.
        AudioError: the disk is full, or the format is unknown.
    """
    limits = limits_of(config)
    at_once = limits.max_active + limits.max_queue
    speaker = Scheduler(pipeline, limits)
    yield from speak_all(Preparing(pipeline, config), speaker, items, folder, at_once=at_once)


def limits_of(config: BatchConfig) -> SchedulerConfig:
    """How a scheduler serves a batch: as many wait as are spoken, and nobody minds how long."""
    streams = max(1, config.streams)
    return SchedulerConfig(max_active=streams, max_queue=streams, max_wait_s=inf, queued_audio_s=inf)


def speak_all(
    prepare: Callable[[Item], Prepared],
    speaker: Submits,
    items: Iterable[Item],
    folder: str | Path,
    *,
    at_once: int,
) -> Generator[BatchResult, None, None]:
    """Speak items through a speaker, as many at once as it may hold; it is closed at the end."""
    watch_collections()
    try:
        with ExitStack() as ending:
            run = _Run(prepare, speaker, _opened_for(speaker, folder, ending), ending)
            pool, running = ThreadPoolExecutor(at_once, "cosyrt-batch"), set[Future[BatchResult]]()
            ending.callback(pool.shutdown, cancel_futures=True)
            ending.callback(speaker.close)
            ending.callback(run.stopped.set)
            try:
                for item in longest_first(items):
                    running.add(pool.submit(run.result, item))
                    if len(running) >= at_once:
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        yield from _results(done)
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from _results(done)
            except GeneratorExit as error:
                if is_collecting():  # maybe in one of the threads that the end waits for
                    end = partial(ending.pop_all().__exit__, GeneratorExit, error, None)
                    Thread(target=end, name="cosyrt-batch-end").start()
                raise
    except OSError as error:
        raise _stopped(folder, error) from error


def _opened_for(speaker: Submits, folder: str | Path, ending: ExitStack) -> Ledger | AddressLedger:
    """Open a ledger until the end; where that cannot be, nothing is spoken either."""
    try:
        return ending.enter_context(opened_anywhere(folder))
    except BaseException:
        speaker.close()
        raise


def opened_anywhere(place: str | Path) -> AbstractContextManager[Ledger | AddressLedger]:
    """The ledger of a folder, or of an address such as `s3://bucket/folder`.

    Raises:
        UsageError, MissingDependency: as its `opened`.
    """
    if isinstance(place, str) and "://" in place:
        return opened_address(place)
    return opened_folder(Path(place))


def longest_first(items: Iterable[Item]) -> Iterator[Item]:
    """Bring items in order of length, so that those which are spoken together end together."""
    coming = iter(items)
    while together := list(islice(coming, SORTED_TOGETHER)):
        yield from sorted(together, key=lambda item: -len(item.text))


def _results(done: Iterable[Future[BatchResult]]) -> Iterator[BatchResult]:
    for future in done:
        yield future.result()


def _stopped(folder: str | Path, error: OSError) -> AudioError:
    """The one line about a disk that takes no more."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AudioError(
            f"no space is left for {folder}; make room and run the same command again: "
            "what is finished is kept"
        )
    return AudioError(f"cannot write into {folder}: {error.strerror or error}; give another folder")


class _Run:
    """One run over a list."""

    def __init__(
        self,
        prepare: Callable[[Item], Prepared],
        speaker: Submits,
        ledger: Ledger | AddressLedger,
        ending: ExitStack,
    ) -> None:
        self.prepare, self.speaker, self.ledger = prepare, speaker, ledger
        self.ending = ending  # no collection closes the ledger while a thread is at work on an item
        self.writing = Lock()  # one recording is finished at a time
        self.stopped = Event()

    def result(self, item: Item) -> BatchResult:
        """Speak one item, unless that was done before.

        Raises:
            OSError: its recording cannot be written.
        """
        try:
            return self._spoken(item)
        except (Busy, Cancelled):  # the run was stopped: the item has not failed
            raise
        except CosyrtError as error:
            result = BatchResult(item=item, status="failed", reason=reason_of(error))
        with self.writing:
            self.ledger.fail(result.as_failure)
        return result

    def _spoken(self, item: Item) -> BatchResult:
        prepared = self.prepare(item)
        if self.ledger.has(item.id, prepared.digest):
            seconds = float(self.ledger.entries[item.id].get("seconds", 0.0))
            return BatchResult(item=item, status="kept", seconds=seconds)
        audio = self._audio(prepared.request)
        data = prepared.encoded(audio)
        with self.writing:
            self.ledger.finish(prepared.entry(item, audio, data), data)
        return BatchResult(item=item, status="made", seconds=audio.seconds)

    def _audio(self, request: Request) -> Audio:
        """All audio of a request: it is begun as soon as it is taken, and again where a replica was lost.

        Raises:
            Busy: the run was stopped. ReplicaLost: this was the last of its attempts.
        """
        lost = 0
        while True:
            try:
                return Audio.join(self.speaker.submit(request))
            except Busy as busy:  # memory may be short for a while, or no replica runs
                if self.stopped.wait(busy.retry_after_s):
                    raise
            except ReplicaLost:
                lost += 1
                if lost == ATTEMPTS:  # it may be this very text that ends them
                    raise


class Preparing:
    """Makes the requests of a list for one model; each voice is looked up once."""

    def __init__(self, frontend: Frontend, config: BatchConfig) -> None:
        format_named(config.format)
        self.frontend, self.config = frontend, config
        self.model = fingerprint(frontend.model.folder)
        self._voices: dict[str, Voice] = {}

    def __call__(self, item: Item) -> Prepared:
        """Make the request of an item.

        Raises:
            CosyrtError: it cannot be spoken.
        """
        if item.wrong:
            raise _WrongItem(item.wrong)
        config = self.config
        style = config.style if item.style is None else SpeakingStyle(instruction=item.style)
        request = Request(
            text=item.text,
            voice=self._voice(item),
            style=style,
            speed=config.speed if item.speed is None else item.speed,
            seed=config.seed if item.seed is None else item.seed,
            as_written=config.as_written,
            lexicon=config.lexicon,
            pauses=config.pauses,
        )
        return Prepared(request, config, self.model)

    def _voice(self, item: Item) -> Voice:
        named = self.config.voice if item.voice is None else item.voice
        if isinstance(named, Voice):
            return named
        name = named or self.frontend.default_voice(item.text)
        if name not in self._voices:
            self._voices[name] = self.frontend.voice(name)
        return self._voices[name]


class _WrongItem(CosyrtError):
    """A line of a list that says nothing which could be spoken."""


class Prepared:
    """A request, what identifies it, and what is written about it."""

    def __init__(self, request: Request, config: BatchConfig, model: str) -> None:
        self.request, self.config, self.model = request, config, model
        assert isinstance(request.voice, Voice)
        self.voice = request.voice
        facts = (
            request.text,
            self.voice.digest,
            request.style.instruction,
            request.style.cross_lingual,
            request.speed,
            request.seed,
            request.as_written,
            repr(request.lexicon),
            repr(request.pauses),
            config.format,
            config.sample_rate,
            config.label is not None,
            model,
        )
        self.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def encoded(self, audio: Audio) -> bytes:
        """The recording as a file."""
        rate = self.config.sample_rate
        audio = audio if rate is None else audio.resample(rate)
        return audio.to_bytes(self.config.format, label=self.config.label)

    def entry(self, item: Item, audio: Audio, data: bytes) -> dict[str, Any]:
        """The line of the manifest about its recording."""
        return {
            **item.more,
            "id": item.id,
            "path": f"{item.id}.{self.config.format}",
            "text": item.text,
            "voice": self.voice.name,
            "seconds": round(audio.seconds, 3),
            "seed": self.request.seed,
            "speed": self.request.speed,
            "digest": self.digest,
            "model": self.model,
            "bytes": len(data),
        }
