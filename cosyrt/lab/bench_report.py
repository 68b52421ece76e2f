"""What the benchmark found out, and how it follows from what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from cosyrt.lab.child import MB, Outcome
from cosyrt.lab.texts import Text
from cosyrt.lab.timing import Seconds, Speedup, Summary, Verdict, speedup

AGAIN = " again"  # the first way once more: the A/A run


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One utterance."""

    seconds: float
    audio_s: float
    first_chunk_s: float  # when it is streamed

    @property
    def rtf(self) -> float:
        """Real-time factor: below 1 it is made faster than it is heard."""
        return self.seconds / self.audio_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One text, said one way, over all counted passes."""

    way: str
    text: Text
    audio_s: float  # median
    seconds: Summary
    rtf: Summary
    first_chunk_s: Summary
    gain: Speedup | None  # of the real-time factor, over the first way


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A way in a process of its own."""

    load_s: float
    first_call_s: float
    gpu_peak_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run the model, over all texts."""

    name: str
    rtf: float  # seconds of work over seconds of audio, all texts together
    gain: Speedup | None
    first_chunk_gain: Speedup | None
    verdict: Verdict | None
    alone: Alone | None
    failure: str | None  # of the process of its own
    peak_mb: float
    gpu_percent: float | None  # how busy the GPU is


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Several utterances at once, one way."""

    way: str
    speakers: int
    audio_s_per_s: float  # made by all together
    rtf: float  # median of each
    first_chunk_s: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was measured."""

    family: str
    device: str
    threads: int
    passes: int
    floor: float | None  # the factor a gain must pass to be claimed; None where nothing is compared
    ways: list[Way]
    said: list[Said]
    crowds: list[Crowd] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)  # ways that cannot be run here, and why


# way → text → its runs, in order, the early ones included
Runs = dict[str, dict[Text, list[Run]]]


class Results:
    """The figures of what was said."""

    def __init__(self, texts: list[Text], runs: Runs, passes: int, first: str) -> None:
        self.texts, self.runs, self.passes, self.first = texts, runs, passes, first

    def gain(self, name: str, texts: list[Text], of: Callable[[Run], float]) -> Speedup | None:
        """Over the first way; None for itself."""
        if name == self.first:
            return None
        return speedup(self._table(self.first, texts, of), self._table(name, texts, of))

    def _table(self, name: str, texts: list[Text], of: Callable[[Run], float]) -> Seconds:  # [texts, passes]
        return np.array([[of(run) for run in self._counted(name, text)] for text in texts])

    def _counted(self, name: str, text: Text) -> list[Run]:
        return self.runs[name][text][-self.passes :]

    @property
    def floor(self) -> float | None:
        """From the A/A run, if there was one."""
        if self.first + AGAIN not in self.runs:
            return None
        found = self.gain(self.first + AGAIN, self.texts, lambda run: run.rtf)
        return found.floor if found else None

    def said(self, name: str, text: Text) -> Said:
        """One text."""
        runs = self._counted(name, text)
        return Said(
            way=name,
            text=text,
            audio_s=median(run.audio_s for run in runs),
            seconds=Summary.of([run.seconds for run in runs]),
            rtf=Summary.of([run.rtf for run in runs]),
            first_chunk_s=Summary.of([run.first_chunk_s for run in runs]),
            gain=self.gain(name, [text], lambda run: run.rtf),
        )

    def way(self, name: str, alone: Outcome, gpu_percent: float | None) -> Way:
        """All texts."""
        seconds, audio_s = (
            np.median(self._table(name, self.texts, of), axis=1).sum()
            for of in (lambda run: run.seconds, lambda run: run.audio_s)
        )
        gain = self.gain(name, self.texts, lambda run: run.rtf)
        return Way(
            name=name,
            rtf=float(seconds / audio_s),
            gain=gain,
            first_chunk_gain=self.gain(name, self.texts, lambda run: run.first_chunk_s),
            verdict=gain.verdict(self.floor) if gain and self.floor else None,
            alone=alone.value,
            failure=alone.failure,
            peak_mb=alone.peak_bytes / MB,
            gpu_percent=gpu_percent,
        )
