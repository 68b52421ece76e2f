"""Results of a benchmark, and how they follow from what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from cosyrt.lab.child import Outcome
from cosyrt.lab.texts import BenchText
from cosyrt.lab.timing import Seconds, Speedup, SpeedVerdict, Summary, speedup
from cosyrt.units import MIB

AGAIN_SUFFIX = " again"  # of the first way once more: the A/A run


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceTimes:
    """Times of one utterance, spoken whole and then streamed."""

    seconds: float
    audio_s: float
    first_chunk_s: float  # of the stream
    longest_silence_s: float  # for a listener who plays the stream from its first chunk on

    @property
    def rtf(self) -> float:
        """Real-time factor: below 1 speech is made faster than it is played."""
        return self.seconds / self.audio_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TextResult:
    """One text, spoken one way, over all counted passes."""

    way: str
    text: BenchText
    audio_s: float  # median
    seconds: Summary
    rtf: Summary
    first_chunk_s: Summary
    longest_silence_s: float  # of any pass
    gain: Speedup | None  # of the real-time factor, over the first way


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshProcess:
    """Costs of one way in a process of its own."""

    load_s: float
    first_call_s: float
    gpu_peak_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayResult:
    """One way to run the model, over all texts."""

    name: str
    rtf: float  # seconds of work over seconds of audio, all texts together
    gain: Speedup | None
    first_chunk_gain: Speedup | None
    verdict: SpeedVerdict | None
    alone: FreshProcess | None
    failure: str | None  # of the process of its own
    peak_mb: float
    gpu_percent: float | None  # how busy the GPU is


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyResult:
    """Several streams at once, run one way."""

    way: str
    speakers: int
    audio_s_per_s: float  # made by all together
    rtf: float  # median of each
    first_chunk_s: Summary
    longest_silence_s: float  # of any stream


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Every measurement of one run."""

    family: str
    device: str
    threads: int
    passes: int
    floor: float | None  # the factor a gain must pass to be claimed; None where nothing is compared
    ways: list[WayResult]
    texts: list[TextResult]
    concurrency: list[ConcurrencyResult] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)  # ways that cannot be run here, and why


Figure = Callable[["UtteranceTimes"], float]  # which of its times is looked at
# way → text → its runs, in order, the early ones included
Runs = dict[str, dict[BenchText, list[UtteranceTimes]]]


class Results:
    """Computes the figures of all ways from their runs."""

    def __init__(self, texts: list[BenchText], runs: Runs, passes: int, first: str) -> None:
        self.texts, self.runs, self.passes, self.first = texts, runs, passes, first

    def gain(self, name: str, texts: list[BenchText], of: Figure) -> Speedup | None:
        """Speed-up over the first way; None for itself."""
        if name == self.first:
            return None
        return speedup(self._table(self.first, texts, of), self._table(name, texts, of))

    def _table(self, name: str, texts: list[BenchText], of: Figure) -> Seconds:  # [texts, passes]
        return np.array([[of(run) for run in self._counted(name, text)] for text in texts])

    def _counted(self, name: str, text: BenchText) -> list[UtteranceTimes]:
        return self.runs[name][text][-self.passes :]

    @property
    def floor(self) -> float | None:
        """Smallest gain that may be claimed, from the A/A run; None without one."""
        if self.first + AGAIN_SUFFIX not in self.runs:
            return None
        found = self.gain(self.first + AGAIN_SUFFIX, self.texts, lambda run: run.rtf)
        return found.floor if found else None

    def of_text(self, name: str, text: BenchText) -> TextResult:
        """Figures of one text."""
        runs = self._counted(name, text)
        return TextResult(
            way=name,
            text=text,
            audio_s=median(run.audio_s for run in runs),
            seconds=Summary.of([run.seconds for run in runs]),
            rtf=Summary.of([run.rtf for run in runs]),
            first_chunk_s=Summary.of([run.first_chunk_s for run in runs]),
            longest_silence_s=max(run.longest_silence_s for run in runs),
            gain=self.gain(name, [text], lambda run: run.rtf),
        )

    def of_way(self, name: str, alone: Outcome, gpu_percent: float | None) -> WayResult:
        """Figures of all texts together, and of a process of its own."""
        seconds, audio_s = (
            np.median(self._table(name, self.texts, of), axis=1).sum()
            for of in (lambda run: run.seconds, lambda run: run.audio_s)
        )
        gain = self.gain(name, self.texts, lambda run: run.rtf)
        return WayResult(
            name=name,
            rtf=float(seconds / audio_s),
            gain=gain,
            first_chunk_gain=self.gain(name, self.texts, lambda run: run.first_chunk_s),
            verdict=gain.verdict(self.floor) if gain and self.floor else None,
            alone=alone.value,
            failure=alone.failure,
            peak_mb=alone.peak_bytes / MIB,
            gpu_percent=gpu_percent,
        )
