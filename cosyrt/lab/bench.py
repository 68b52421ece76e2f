"""How fast a model speaks on this machine, and how much faster it does with an acceleration.

Utterances are whole: text in, audio out. All ways to run the model share its weights and take turns text by
text (`timing.py`); the first way is run under two names, and what differs between those two is noise: no gain
below it is claimed. Memory and loading are measured in a process for each way. A way that makes shorter audio
is not faster for it: ratios are of real-time factors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

import torch

from cosyrt.accel.backend.torchscript import archives
from cosyrt.accel.load import load, planned
from cosyrt.accel.registry import EAGER, accelerated
from cosyrt.audio import Audio
from cosyrt.engine.model import Accelerate
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import CosyrtError, UsageError
from cosyrt.lab.bench_report import AGAIN, Alone, Crowd, Report, Results, Run
from cosyrt.lab.child import MB, Outcome, call_in_child
from cosyrt.lab.texts import LENGTHS, REFERENCE, TEXTS, Text
from cosyrt.lab.timing import Summary, TimingConfig, interleaved
from cosyrt.lab.workload import Subject
from cosyrt.machine.gpu import GpuLoad
from cosyrt.voice.voice import Voice

TORCHSCRIPT = "torchscript"
PLAN = "plan"  # what `cosyrt tune` found
CHILD_TIMEOUT_S = 1_800.0
DOUBLED = (1, 2, 4, 8, 16, 32, 64)

# what is being done, and which part of it is done, 0 to 1
OnStep = Callable[[str, float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What is measured, and for how long."""

    ways: tuple[str, ...] = (EAGER,)
    passes: int = 5
    budget_s: float = 300.0
    lengths: tuple[str, ...] = LENGTHS
    speakers: int = 1  # at once, at most
    seed: int = 0


def way(name: str) -> Accelerate | None:
    """How the model is run under that name.

    Raises:
        UsageError: an unknown name.
    """
    if name == EAGER:
        return None
    if name == TORCHSCRIPT:
        return archives()
    if name == PLAN:
        return planned
    return accelerated(name)


class Speaker:
    """Says texts one way, and remembers how long each took."""

    def __init__(self, name: str, pipeline: Pipeline, seed: int, load: GpuLoad) -> None:
        self.name, self.pipeline, self.seed, self.load = name, pipeline, seed, load
        self.runs: dict[Text, list[Run]] = {}

    def __call__(self, text: Text, voice: Voice) -> None:
        """Say it whole, and stream it until the first chunk is there."""
        with self.load.of(self.name):
            begin = time.perf_counter()
            audio = self.pipeline.say(text.words, voice=voice, seed=self.seed)
            seconds = time.perf_counter() - begin
            first_s = first_chunk_s(self.pipeline.stream(text.words, voice=voice, seed=self.seed))
        run = Run(seconds=seconds, audio_s=audio.seconds, first_chunk_s=first_s)
        self.runs.setdefault(text, []).append(run)


def first_chunk_s(stream: Generator[Audio]) -> float:
    """How long the first chunk takes; the rest is not made."""
    begin = time.perf_counter()
    next(stream)
    seconds = time.perf_counter() - begin
    stream.close()
    return seconds


class Bench:
    """A model, and the ways to run it that can be run here."""

    def __init__(self, folder: str | None, device: str | None, config: BenchConfig) -> None:
        if not config.ways or len(set(config.ways)) < len(config.ways):
            raise UsageError(f"give each way to compare once, not {','.join(config.ways)!r}")
        if not config.lengths or not set(config.lengths) <= set(LENGTHS):
            raise UsageError(f"lengths are {', '.join(LENGTHS)}, not {','.join(config.lengths)!r}")
        accelerations = {name: way(name) for name in config.ways}  # misspelt names are told before the load
        self.folder, self.device, self.config = folder, device, config
        self.texts = [text for text in TEXTS if text.length in config.lengths]
        self.subject = Subject.open(folder, device)
        self.pipelines: dict[str, Pipeline] = {}
        self.absent: dict[str, str] = {}
        for name, accelerate in accelerations.items():
            try:
                self.pipelines[name] = self._pipeline(accelerate)
            except CosyrtError as error:
                self.absent[name] = str(error)
            except torch.OutOfMemoryError:
                self.absent[name] = "it does not fit beside the others; compare fewer at once"
        if not self.pipelines:
            raise UsageError(f"there is nothing to measure: {'; '.join(self.absent.values())}")

    def _pipeline(self, accelerate: Accelerate | None) -> Pipeline:
        plain = self.subject.pipeline
        if accelerate is None:
            return plain
        return Pipeline(replace(plain.model, stages=accelerate(plain.model)))

    @property
    def first(self) -> str:
        """The way that the others are compared with."""
        return next(iter(self.pipelines))

    def run(self, voice: Voice | None = None, on_step: OnStep = lambda what, done: None) -> Report:
        """Measure everything; without a voice, texts are said by the model's voices of their languages.

        Raises:
            ModelError: the model has no voices and cannot make one.
        """
        voices = {text: voice or self._voice(text) for text in self.texts}
        load = GpuLoad(self.subject.model.device)
        speakers = self._speakers(load)
        passes = self._measure(speakers, voices, load, on_step)
        alone = {name: self._alone(name, voices[self.texts[0]], on_step) for name in self.pipelines}
        runs = {name: speaker.runs for name, speaker in speakers.items()}
        results = Results(self.texts, runs, passes, self.first)
        return Report(
            family=self.subject.pipeline.family,
            device=self.subject.pipeline.device,
            threads=torch.get_num_threads(),
            passes=passes,
            floor=results.floor,
            ways=[results.way(name, alone[name], load.percent(name)) for name in self.pipelines],
            said=[results.said(name, text) for name in self.pipelines for text in self.texts],
            crowds=[crowd for name in self.pipelines for crowd in self._crowds(name, voices, on_step)],
            absent=self.absent,
        )

    def _voice(self, text: Text) -> Voice:
        pipeline = self.subject.pipeline
        if pipeline.voices:
            return pipeline.voices[pipeline.default_voice(text.words)]
        return self._cloned

    @cached_property
    def _cloned(self) -> Voice:
        """A published model may come without voices: the built-in one lends it a clip."""
        clip = load(None, device="cpu", plan=False).say(REFERENCE)
        return self.subject.pipeline.voice_from(clip, REFERENCE)

    def _speakers(self, load: GpuLoad) -> dict[str, Speaker]:
        """One a way; where ways are compared, the first twice."""
        speakers = {
            name: Speaker(name, each, self.config.seed, load) for name, each in self.pipelines.items()
        }
        if len(speakers) > 1:
            again = self.first + AGAIN
            speakers[again] = Speaker(again, self.pipelines[self.first], self.config.seed, load)
        return speakers

    def _measure(
        self, speakers: dict[str, Speaker], voices: dict[Text, Voice], load: GpuLoad, on_step: OnStep
    ) -> int:
        """Say all texts, pass by pass; how many were counted."""
        timing = TimingConfig(
            early_passes=1, passes=self.config.passes, least_passes=1, budget_s=self.config.budget_s
        )

        def saying(speaker: Speaker) -> Callable[[Text], None]:
            return lambda text: speaker(text, voices[text])

        with load.watched():
            timings = interleaved(
                {name: saying(speaker) for name, speaker in speakers.items()},
                self.texts,
                timing,
                on_pass=lambda done, of: on_step("speaking", done / of),
            )
        return int(timings.steady_s[self.first].shape[1])

    def _alone(self, name: str, voice: Voice, on_step: OnStep) -> Outcome:
        on_step(f"memory of {name}", 0)
        text = self.texts[-1].words
        return call_in_child(alone, self.folder, self.device, name, text, voice, timeout_s=CHILD_TIMEOUT_S)

    def _crowds(self, name: str, voices: dict[Text, Voice], on_step: OnStep) -> Iterator[Crowd]:
        """1, 2, 4 … speakers at once, up to as many as were asked for."""
        if self.config.speakers < 2:
            return
        text = self.texts[min(2, len(self.texts) - 1)]
        for count in sorted({self.config.speakers, *(n for n in DOUBLED if n < self.config.speakers)}):
            on_step(f"{count} speakers, {name}", count / self.config.speakers)
            yield crowd(name, self.pipelines[name], text, voices[text], count)


def alone(folder: str | None, device: str | None, name: str, text: str, voice: Voice) -> Alone:
    """In a fresh process: load the model one way, and say one text."""
    begin = time.perf_counter()
    pipeline = load(folder, device=device, accelerate=way(name), plan=False)
    loaded = time.perf_counter()
    pipeline.say(text, voice=voice)
    said = time.perf_counter()
    gpu = (
        torch.cuda.max_memory_reserved(pipeline.model.device) / MB
        if pipeline.model.device.type == "cuda"
        else None
    )
    return Alone(load_s=loaded - begin, first_call_s=said - loaded, gpu_peak_mb=gpu)


def crowd(name: str, pipeline: Pipeline, text: Text, voice: Voice, count: int) -> Crowd:
    """That many streams at once, twice as many in all."""

    def one(seed: int) -> Run:
        begin, first_s, audio_s = time.perf_counter(), 0.0, 0.0
        for audio in pipeline.stream(text.words, voice=voice, seed=seed):
            first_s = first_s or time.perf_counter() - begin
            audio_s += audio.seconds
        return Run(seconds=time.perf_counter() - begin, audio_s=audio_s, first_chunk_s=first_s)

    begin = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        runs = list(pool.map(one, range(2 * count)))
    wall_s = time.perf_counter() - begin
    return Crowd(
        way=name,
        speakers=count,
        audio_s_per_s=sum(run.audio_s for run in runs) / wall_s,
        rtf=median(run.rtf for run in runs),
        first_chunk_s=Summary.of([run.first_chunk_s for run in runs]),
    )
