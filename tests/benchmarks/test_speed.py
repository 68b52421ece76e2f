"""What the speed benchmark makes of the chunks that it gets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.speed import Run, measure, row
from cosyrt.audio import Audio


def chunks(monkeypatch, *times: tuple[float, float]) -> Iterator[Audio]:
    """Chunks of so many seconds, each at its time on a clock of our own."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def made() -> Iterator[Audio]:
        for clock[0], seconds in times:
            yield Audio(np.zeros(int(seconds * 100), np.float32), 100)

    return made()


def test_the_first_chunk_and_the_last_are_timed(monkeypatch):
    """First audio, all audio, and no wait when every chunk is there before it is needed."""
    run = measure(chunks(monkeypatch, (0.5, 1.0), (1.0, 1.0), (2.0, 2.0)))
    assert run == Run(audio_s=4.0, first_s=0.5, total_s=2.0, late_s=0.0)


def test_a_late_chunk_is_a_silence(monkeypatch):
    """The second chunk comes 0.5 s after the first has been heard."""
    run = measure(chunks(monkeypatch, (0.5, 1.0), (2.0, 1.0)))
    assert run.late_s == pytest.approx(0.5)


def test_a_row_has_medians():
    """One slow round does not move the figures."""
    said = [Run(audio_s=2, first_s=1, total_s=total, late_s=0) for total in (1.0, 1.1, 9.0)]
    streamed = [Run(audio_s=2, first_s=first, total_s=1, late_s=0) for first in (0.2, 0.3, 5.0)]
    figures = row("en", list(zip(said, streamed, strict=True)))
    assert figures["rtf"] == pytest.approx(0.55)
    assert figures["rtf_max"] == pytest.approx(4.5)
    assert figures["first_ms"] == pytest.approx(300)
