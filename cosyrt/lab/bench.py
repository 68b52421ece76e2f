"""How fast a model speaks on this machine, and how much faster it does with an acceleration.

Utterances are whole: text in, audio out. All ways to run the model share its weights and take turns text by
text (`timing.py`); the first way is run under two names, and what differs between those two is noise: no gain
below it is claimed. Memory and loading are measured in a process for each way. A way that makes shorter audio
is not faster for it: ratios are of real-time factors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import NamedTuple

import torch

from cosyrt.accel.backend.torchscript import archives
from cosyrt.accel.load import load, planned
from cosyrt.accel.registry import EAGER, PLAN, accelerated
from cosyrt.audio import Audio
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import CosyrtError, UsageError
from cosyrt.lab.bench_report import (
    AGAIN_SUFFIX,
    BenchReport,
    ConcurrencyResult,
    FreshProcess,
    Results,
    UtteranceTimes,
)
from cosyrt.lab.child import Outcome, call_in_child
from cosyrt.lab.texts import REFERENCE_TEXT, TEXT_LENGTHS, TEXTS, BenchText
from cosyrt.lab.timing import Summary, TimingConfig, interleaved
from cosyrt.machine.gpu import GpuLoad
from cosyrt.units import MIB
from cosyrt.voice.voice import Voice

ARCHIVES = "torchscript"  # from the model folder, where the backend of that name compiles its own
CHILD_TIMEOUT_S = 1_800.0
DOUBLED = (1, 2, 4, 8, 16, 32, 64)

# (what is being done, the share of it that is done: 0 to 1)
OnBenchStep = Callable[[str, float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What is measured, and for how long.

    Raises:
        UsageError: no way or one twice, an unknown way, or an unknown length.
    """

    ways: tuple[str, ...] = (EAGER,)
    passes: int = 5
    budget_s: float = 300.0
    lengths: tuple[str, ...] = TEXT_LENGTHS
    speakers: int = 1  # at once, at most
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.ways or len(set(self.ways)) < len(self.ways):
            raise UsageError(f"give each way to compare once, not {','.join(self.ways)!r}")
        if not self.lengths or not set(self.lengths) <= set(TEXT_LENGTHS):
            raise UsageError(f"lengths are {', '.join(TEXT_LENGTHS)}, not {','.join(self.lengths)!r}")
        for name in self.ways:
            run_by(name)


def run_by(name: str) -> Callable[[Model], Model]:
    """The function that makes a model run the way of that name.

    Raises:
        UsageError: an unknown name.
    """
    if name == EAGER:
        return lambda model: model
    if name == PLAN:
        return planned
    accelerate = archives() if name == ARCHIVES else accelerated(name)
    return lambda model: replace(model, stages=accelerate(model))


class StreamTimes(NamedTuple):
    """Times of one stream, in seconds from the call."""

    seconds: float  # until the last chunk
    audio_s: float
    first_chunk_s: float
    longest_silence_s: float


def clip_voice(pipeline: Pipeline) -> Voice:
    """Make a voice of a clip that the built-in one speaks: a published model may come without voices.

    Raises:
        ModelError: the model cannot make one.
    """
    clip = load(None, device="cpu", plan=False).say(REFERENCE_TEXT)
    return pipeline.voice_from(clip, REFERENCE_TEXT)


def stream_times(chunks: Iterable[Audio]) -> StreamTimes:
    """Take chunks as fast as they come, and follow a listener who plays them from the first one on."""
    begin = time.perf_counter()
    now = first_s = played_until_s = silence_s = audio_s = 0.0
    for chunk in chunks:
        now = time.perf_counter() - begin
        first_s = first_s or now
        played_until_s = played_until_s or now
        silence_s = max(silence_s, now - played_until_s)
        played_until_s = max(played_until_s, now) + chunk.seconds
        audio_s += chunk.seconds
    return StreamTimes(now, audio_s, first_s, silence_s)


class TimedSpeaker:
    """Speaks texts one way, and keeps the times of each."""

    def __init__(self, name: str, pipeline: Pipeline, seed: int, load: GpuLoad) -> None:
        self.name, self.pipeline, self.seed, self.load = name, pipeline, seed, load
        self.runs: dict[BenchText, list[UtteranceTimes]] = {}

    def __call__(self, text: BenchText, voice: Voice) -> float:
        """Speak a text whole, then stream it; give the seconds of the first."""
        with self.load.of(self.name):
            begin = time.perf_counter()
            audio = self.pipeline.say(text.words, voice=voice, seed=self.seed)
            seconds = time.perf_counter() - begin
            stream = stream_times(self.pipeline.stream(text.words, voice=voice, seed=self.seed))
        run = UtteranceTimes(
            seconds=seconds,
            audio_s=audio.seconds,
            first_chunk_s=stream.first_chunk_s,
            longest_silence_s=stream.longest_silence_s,
        )
        self.runs.setdefault(text, []).append(run)
        return seconds


class Bench:
    """A model, and the ways to run it that can be run here."""

    def __init__(self, model: Model, config: BenchConfig) -> None:
        self.model, self.config = model, config
        self.texts = [text for text in TEXTS if text.length in config.lengths]
        self.plain = Pipeline(model)
        self.pipelines: dict[str, Pipeline] = {}
        self.absent: dict[str, str] = {}
        for name in config.ways:
            try:
                self.pipelines[name] = self._pipeline(name)
            except CosyrtError as error:
                self.absent[name] = str(error)
            except torch.OutOfMemoryError:
                self.absent[name] = "it does not fit beside the others; compare fewer at once"
        if not self.pipelines:
            raise UsageError(f"there is nothing to measure: {'; '.join(self.absent.values())}")

    def _pipeline(self, name: str) -> Pipeline:
        return self.plain if name == EAGER else Pipeline(run_by(name)(self.model))

    @property
    def first(self) -> str:
        """The way that the others are compared with."""
        return next(iter(self.pipelines))

    def run(self, voice: Voice | None = None, on_step: OnBenchStep = lambda what, done: None) -> BenchReport:
        """Measure everything; without a voice, texts are spoken by the model's voices of their languages.

        Raises:
            ModelError: the model has no voices and cannot make one.
        """
        voices = {text: voice or self._voice(text) for text in self.texts}
        load = GpuLoad(self.model.device)
        speakers = self._speakers(load)
        passes = self._measure(speakers, voices, load, on_step)
        alone = {name: self._alone(name, voices[self.texts[0]], on_step) for name in self.pipelines}
        runs = {name: speaker.runs for name, speaker in speakers.items()}
        results = Results(self.texts, runs, passes, self.first)
        return BenchReport(
            family=self.plain.family,
            device=self.plain.device,
            threads=torch.get_num_threads(),
            passes=passes,
            floor=results.floor,
            ways=[results.of_way(name, alone[name], load.percent(name)) for name in self.pipelines],
            texts=[results.of_text(name, text) for name in self.pipelines for text in self.texts],
            concurrency=[
                found for name in self.pipelines for found in self._concurrency(name, voices, on_step)
            ],
            absent=self.absent,
        )

    def _voice(self, text: BenchText) -> Voice:
        if self.plain.voices:
            return self.plain.voices[self.plain.default_voice(text.words)]
        return self._cloned

    @cached_property
    def _cloned(self) -> Voice:
        """Voice for all texts of a model that has none."""
        return clip_voice(self.plain)

    def _speakers(self, load: GpuLoad) -> dict[str, TimedSpeaker]:
        """Make a speaker for each way; where ways are compared, two for the first."""
        speakers = {
            name: TimedSpeaker(name, each, self.config.seed, load) for name, each in self.pipelines.items()
        }
        if len(speakers) > 1:
            again = self.first + AGAIN_SUFFIX
            speakers[again] = TimedSpeaker(again, self.pipelines[self.first], self.config.seed, load)
        return speakers

    def _measure(
        self,
        speakers: dict[str, TimedSpeaker],
        voices: dict[BenchText, Voice],
        load: GpuLoad,
        on_step: OnBenchStep,
    ) -> int:
        """Speak all texts, pass by pass; give how many passes count."""
        timing = TimingConfig(
            early_passes=1, passes=self.config.passes, least_passes=1, budget_s=self.config.budget_s
        )

        def candidate(speaker: TimedSpeaker) -> Callable[[BenchText], float]:
            return lambda text: speaker(text, voices[text])

        with load.watched():
            timings = interleaved(
                {name: candidate(speaker) for name, speaker in speakers.items()},
                self.texts,
                timing,
                on_pass=lambda done, of: on_step("speaking", done / of),
            )
        return int(timings.steady_s[self.first].shape[1])

    def _alone(self, name: str, voice: Voice, on_step: OnBenchStep) -> Outcome:
        on_step(f"memory of {name}", 0)
        folder, device = str(self.model.folder.path), str(self.model.device)
        text = self.texts[-1].words
        return call_in_child(fresh_process, folder, device, name, text, voice, timeout_s=CHILD_TIMEOUT_S)

    def _concurrency(
        self, name: str, voices: dict[BenchText, Voice], on_step: OnBenchStep
    ) -> Iterator[ConcurrencyResult]:
        """Measure 1, 2, 4 … streams at once, up to as many as were asked for."""
        if self.config.speakers < 2:
            return
        text = self.texts[min(2, len(self.texts) - 1)]
        for count in sorted({self.config.speakers, *(n for n in DOUBLED if n < self.config.speakers)}):
            on_step(f"{count} speakers, {name}", count / self.config.speakers)
            yield concurrency(name, self.pipelines[name], text, voices[text], count)


def fresh_process(folder: str, device: str, name: str, text: str, voice: Voice) -> FreshProcess:
    """Load the model one way and speak one text, in a process that has done nothing else."""
    begin = time.perf_counter()
    pipeline = Pipeline(run_by(name)(Model.open(folder, device)))
    loaded = time.perf_counter()
    pipeline.say(text, voice=voice)
    spoken = time.perf_counter()
    device_used = pipeline.model.device
    gpu = torch.cuda.max_memory_reserved(device_used) / MIB if device_used.type == "cuda" else None
    return FreshProcess(load_s=loaded - begin, first_call_s=spoken - loaded, gpu_peak_mb=gpu)


def concurrency(
    name: str, pipeline: Pipeline, text: BenchText, voice: Voice, count: int
) -> ConcurrencyResult:
    """Run that many streams at once, twice as many in all."""

    def one(seed: int) -> StreamTimes:
        return stream_times(pipeline.stream(text.words, voice=voice, seed=seed))

    begin = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        runs = list(pool.map(one, range(2 * count)))
    wall_s = time.perf_counter() - begin
    return ConcurrencyResult(
        way=name,
        speakers=count,
        audio_s_per_s=sum(run.audio_s for run in runs) / wall_s,
        rtf=median(run.seconds / run.audio_s for run in runs),
        first_chunk_s=Summary.of([run.first_chunk_s for run in runs]),
        longest_silence_s=max(run.longest_silence_s for run in runs),
    )
