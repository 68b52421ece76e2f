"""The benchmark of whole utterances, on the tiny model: what is measured, by whom, and what cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.audio import Audio
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency, UsageError
from cosyrt.lab import bench as benchmark
from cosyrt.lab.bench import Bench, BenchConfig, StreamTimes, stream_times
from cosyrt.lab.bench_report import BenchReport
from cosyrt.lab.child import Outcome

REST_S = 0.4  # many times what a short text takes
QUICK = BenchConfig(passes=2, lengths=("short",))


def same(model: Model) -> Stages:
    return model.stages


def absent(model: Model) -> Stages:
    raise MissingDependency("it is not installed")


def greedy(model: Model) -> Stages:
    raise torch.OutOfMemoryError("CUDA out of memory")


def lazy(model: Model) -> Stages:
    """Rest before every vocoder call."""

    def vocode(*args: Any) -> Any:
        time.sleep(REST_S)
        return model.stages.vocode(*args)

    return model.stages._replace(vocode=vocode)


def run_by(stages_of: Callable[[Model], Stages]) -> Callable[[Model], Model]:
    return lambda model: replace(model, stages=stages_of(model))


WAYS = {
    "eager": lambda model: model,
    "same": run_by(same),
    "absent": run_by(absent),
    "greedy": run_by(greedy),
    "lazy": run_by(lazy),
}


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways of our own, and no process for each of them."""
    monkeypatch.setattr(benchmark, "run_by", WAYS.__getitem__)
    monkeypatch.setattr(benchmark, "call_in_child", lambda *args, **options: Outcome(failure="not wanted"))


def report(folder: Path, **changes: Any) -> BenchReport:
    return Bench(Model.open(folder, "cpu"), replace(QUICK, **changes)).run()


@pytest.fixture(scope="module")
def alone(tiny_folder: Path) -> BenchReport:
    """The tiny model as it is, its memory measured in a process of its own."""
    return report(tiny_folder)


def test_each_text_has_its_figures(alone: BenchReport) -> None:
    """Real-time factor, its spread and the first chunk of a short text in English and in Chinese."""
    assert [str(each.text) for each in alone.texts] == ["en short", "zh short"]
    for each in alone.texts:
        assert each.audio_s > 0
        assert each.rtf.median == pytest.approx(each.seconds.median / each.audio_s)
        assert each.rtf.median <= each.rtf.p95 <= each.rtf.p99
        assert each.first_chunk_s.median > 0
        assert each.longest_silence_s >= 0
    assert (alone.family, alone.device, alone.passes) == ("cosyvoice2", "cpu", 2)


def test_one_way_alone_is_compared_with_nothing(alone: BenchReport) -> None:
    """There is no gain, no noise floor, no verdict."""
    (way,) = alone.ways

    assert alone.floor is None
    assert (way.gain, way.first_chunk_gain, way.verdict) == (None, None, None)


def test_memory_and_load_are_of_a_process_of_its_own(alone: BenchReport) -> None:
    """The child says when it had loaded, how long its first utterance took, and its peak."""
    (way,) = alone.ways

    assert way.failure is None and way.alone is not None
    assert way.alone.load_s > 0 and way.alone.first_call_s > 0
    assert way.alone.gpu_peak_mb is None
    assert way.peak_mb > 50


@pytest.mark.slow
@pytest.mark.usefixtures("ways")
def test_a_slower_way_is_found_and_the_same_one_is_not(tiny_folder: Path) -> None:
    """Stages that rest are slower; the first way has no verdict."""
    found = report(tiny_folder, ways=("eager", "same", "lazy"), passes=3)
    verdicts = {way.name: way.verdict for way in found.ways}

    assert verdicts["eager"] is None
    assert verdicts["lazy"] == "slower"
    assert found.floor is not None and found.floor >= 1.02
    gains = {each.way: each.gain for each in found.texts}
    assert gains["lazy"] is not None and gains["lazy"].median < 1


@pytest.mark.usefixtures("ways")
@pytest.mark.slow
def test_what_cannot_be_run_is_left_out_with_its_reason(tiny_folder: Path) -> None:
    """A missing package or too little memory ends that way, not the benchmark."""
    found = report(tiny_folder, ways=("eager", "absent", "greedy"))

    assert found.absent == {
        "absent": "it is not installed",
        "greedy": "it does not fit beside the others; compare fewer at once",
    }
    assert [way.name for way in found.ways] == ["eager"]
    assert found.floor is None


@pytest.mark.usefixtures("ways")
def test_nothing_to_measure_is_told(tiny_folder: Path) -> None:
    """If no way can be run there is no report, but the reasons."""
    with pytest.raises(UsageError, match="nothing to measure: it is not installed"):
        Bench(Model.open(tiny_folder, "cpu"), replace(QUICK, ways=("absent",)))


@pytest.mark.slow
@pytest.mark.usefixtures("ways")
def test_speakers_at_once(tiny_folder: Path) -> None:
    """1, 2 and 3 at once, all heard to the end."""
    found = report(tiny_folder, speakers=3)

    assert [each.speakers for each in found.concurrency] == [1, 2, 3]
    assert all(each.audio_s_per_s > 0 and each.rtf > 0 for each in found.concurrency)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ways": ("eager", "eager")}, "once"),
        ({"ways": ()}, "once"),
        ({"lengths": ("huge",)}, "lengths are short, medium, long"),
        ({"lengths": ()}, "lengths are"),
        ({"ways": ("eager", "magic")}, "magic"),
    ],
)
def test_mistakes_are_told_before_the_model_is_loaded(changes: dict[str, Any], says: str) -> None:
    """Unknown or repeated names are mistakes of the configuration, which needs no model."""
    with pytest.raises(UsageError, match=says):
        replace(QUICK, **changes)


@pytest.mark.usefixtures("ways")
def test_a_model_without_voices_borrows_a_clip(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built-in voice says a sentence, and the model speaks like it."""
    bench = Bench(Model.open(tiny_folder, "cpu"), QUICK)
    bench.plain.voices.clear()
    monkeypatch.setattr(benchmark, "load", lambda *args, **options: bench_voice(tiny_folder))
    (voice,) = {bench._voice(text).name for text in bench.texts}

    assert voice == "reference"


def bench_voice(folder: Path) -> Any:
    """A loaded tiny model in place of the built-in one."""
    import cosyrt

    return cosyrt.load(folder, device="cpu", plan=False)


def test_ways_have_names() -> None:
    """The plain way, the plan of `cosyrt tune`, archives, and every backend."""
    from cosyrt.accel.load import planned
    from cosyrt.accel.registry import BACKENDS

    assert benchmark.run_by("plan") is planned
    assert all(callable(benchmark.run_by(name)) for name in ("eager", "torchscript", *BACKENDS))
    with pytest.raises(UsageError, match="no backend 'fast'"):
        benchmark.run_by("fast")


def chunks(monkeypatch: pytest.MonkeyPatch, *times: tuple[float, float]) -> Iterator[Audio]:
    """Chunks of so many seconds, each at its time on a clock of our own."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def made() -> Iterator[Audio]:
        for clock[0], seconds in times:
            yield Audio(np.zeros(int(seconds * 100), np.float32), 100)

    return made()


def test_the_first_chunk_and_the_last_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """First audio, all audio, and no silence when every chunk is there before it is needed."""
    found = stream_times(chunks(monkeypatch, (0.5, 1.0), (1.0, 1.0), (2.0, 2.0)))

    assert found == StreamTimes(seconds=2.0, audio_s=4.0, first_chunk_s=0.5, longest_silence_s=0.0)


def test_a_late_chunk_is_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second chunk comes 0.5 s after the first has been played, the third 0.25 s after the second."""
    found = stream_times(chunks(monkeypatch, (0.5, 1.0), (2.0, 1.0), (3.25, 1.0)))

    assert found.longest_silence_s == pytest.approx(0.5)
